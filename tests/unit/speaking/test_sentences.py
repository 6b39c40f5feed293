"""Streamed text into sentences."""

from __future__ import annotations

import pytest

from domain.mind.sentences import (
    CLAUSE_CHARS_MIN,
    LOOKAHEAD_CHARS,
    SENTENCE_CHARS_MAX,
    SentenceBuffer,
    split_sentences,
)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Hello there. How are you? I'm fine!", ["Hello there.", "How are you?", "I'm fine!"]),
        ("Dr. Smith saw Mrs. O'Neil. They agreed.", ["Dr. Smith saw Mrs. O'Neil.", "They agreed."]),
        ("It costs $1,200.50 in all. Pay by May 5.", ["It costs $1,200.50 in all.", "Pay by May 5."]),
        ("That is 3.5 percent. 4 are left.", ["That is 3.5 percent.", "4 are left."]),
        ("See item No. 5. No. That was it.", ["See item No. 5.", "No.", "That was it."]),
        (
            "Write to claims@harbour-mutual.example. We answer within a day.",
            ["Write to claims@harbour-mutual.example.", "We answer within a day."],
        ),
        ("Look at www.harbour.example/faq. Thanks!", ["Look at www.harbour.example/faq.", "Thanks!"]),
        (
            "We open at 9 a.m. and close at 5 p.m. Call us.",
            ["We open at 9 a.m. and close at 5 p.m.", "Call us."],
        ),
        ("Floods, fires, etc. are covered.", ["Floods, fires, etc. are covered."]),
        ("Floods, fires, etc. Theft is not.", ["Floods, fires, etc.", "Theft is not."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ('"Really?" he asked. (It was late.) So.', ['"Really?" he asked.', "(It was late.)", "So."]),
        ("“Is it?” She nodded.", ["“Is it?”", "She nodded."]),
        ("Wait... what? Well… yes. Hm… Then go.", ["Wait... what?", "Well… yes.", "Hm…", "Then go."]),
        ("J. K. Rowling and I. Then we.", ["J. K. Rowling and I.", "Then we."]),
        ("On Jan. 5 it rained. In Dec. It snowed.", ["On Jan. 5 it rained.", "In Dec.", "It snowed."]),
        ("Really?! Yes!!! Ok", ["Really?!", "Yes!!!", "Ok"]),
        ("1. Call us. 2. Wait.", ["1. Call us.", "2. Wait."]),
        ("- First thing\n- Second thing\n\nThe end", ["- First thing", "- Second thing", "The end"]),
        ("Use e.g. a photo, i.e. a picture.", ["Use e.g. a photo, i.e. a picture."]),
        ("two   spaces\tand a tab.", ["two spaces and a tab."]),
        ("no mark at the end", ["no mark at the end"]),
        ("---\n*\n...\n👍\n", []),
        ("", []),
        (" \n ", []),
    ],
)
def test_text_is_split_where_a_reader_would(text: str, sentences: list[str]) -> None:
    assert list(split_sentences(text)) == sentences


def test_a_plain_sentence_is_given_out_with_the_space_after_it() -> None:
    # Waiting for the next word would put a token of the model's between the person and the answer.
    sentences, buffer = SentenceBuffer().feed("We cover that. ")

    assert sentences == ("We cover that.",)
    assert buffer.pending == ""


def test_a_full_stop_at_the_end_of_what_has_arrived_is_not_yet_an_end() -> None:
    sentences, buffer = SentenceBuffer().feed("It costs $3.")
    assert sentences == ()

    sentences, buffer = buffer.feed("50 a day. ")
    assert sentences == ("It costs $3.50 a day.",)
    assert buffer.finish() == ()


def test_an_abbreviation_waits_for_the_word_that_decides() -> None:
    sentences, buffer = SentenceBuffer().feed("Close at 5 p.m. ")
    assert sentences == ()

    assert buffer.feed("Call us")[0] == ("Close at 5 p.m.",)
    assert buffer.feed("on Friday")[0] == ()
    assert buffer.finish() == ("Close at 5 p.m.",)


def test_an_abbreviation_before_a_long_blank_is_decided_without_the_next_word() -> None:
    blank = " " * (SENTENCE_CHARS_MAX + LOOKAHEAD_CHARS)

    sentences, _ = SentenceBuffer().feed("Close at 5 p.m." + blank)

    assert sentences == ("Close at 5 p.m.",)


def test_a_sentence_beyond_the_limit_is_cut_at_its_last_clause() -> None:
    clause = "the water came in through the cellar window, "
    text = clause * 6 + "and then it stopped"

    sentences = split_sentences(text)

    assert len(sentences) == 2
    assert all(len(sentence) <= SENTENCE_CHARS_MAX for sentence in sentences)
    assert sentences[0].endswith("window,")


def test_without_a_clause_it_is_cut_before_a_conjunction() -> None:
    text = "word " * 35 + "because " + "more " * 40

    first, *_ = split_sentences(text)

    assert first == ("word " * 35).strip()


def test_a_clause_that_would_leave_a_scrap_is_passed_over() -> None:
    text = "Well, " + "word " * 60

    first, *_ = split_sentences(text)

    assert len(first) > CLAUSE_CHARS_MIN


def test_a_word_without_an_end_is_cut_at_the_limit() -> None:
    assert split_sentences("x" * (2 * SENTENCE_CHARS_MAX + 5)) == (
        "x" * SENTENCE_CHARS_MAX,
        "x" * SENTENCE_CHARS_MAX,
        "x" * 5,
    )
