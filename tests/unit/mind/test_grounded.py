from __future__ import annotations

import pytest

from domain.conversation.transcript import Role
from domain.mind.grounded import (
    ANSWER_SCORE_MIN,
    ANSWER_SENTENCES_MAX,
    ANSWER_WORDS_MAX,
    CANDIDATES_MAX,
    CERTAIN_SCORE_MIN,
    COMPARED_MAX,
    UNCERTAIN,
    Candidate,
    Certainty,
    Scored,
    answer,
    candidates_of,
    content_words,
    nearest_by_words,
    scored,
    search_question,
    spoken_sentences,
    stem,
)
from domain.mind.prompt import Passage

NOT_FOUND = "I don't have that."


def _passage(text: str, *, heading: str = "", score: float = 1.0, chunk: str = "d:0") -> Passage:
    return Passage("d", "Guide", chunk, heading, text, 0, len(text), score)


def _scored(score: float, text: str, place: int, *, passage: int = 0, before: str | None = None) -> Scored:
    return Scored(Candidate(text, passage, place, before), score)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Hi, um, could you please tell me what the excess is?", ("excess",)),
        ("How long do I have to report a burst pipe?", ("long", "report", "burst", "pipe")),
        ("What's it?", ()),
    ],
)
def test_the_words_of_a_question_are_those_that_it_is_about(question: str, words: tuple[str, ...]) -> None:
    assert content_words(question) == words


@pytest.mark.parametrize(
    ("one", "other"),
    [("report", "reporting"), ("claims", "claim"), ("settled", "settle"), ("policies", "policied")],
)
def test_kin_share_a_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


@pytest.mark.parametrize(("one", "other"), [("pipe", "pie"), ("is", "i"), ("using", "bus")])
def test_strangers_do_not(one: str, other: str) -> None:
    assert stem(one) != stem(other)


def test_a_question_that_turns_to_something_else_is_looked_for_by_itself() -> None:
    said = ((Role.USER, "How long do I have to report a burst pipe?"), (Role.PERSONA, "Thirty days."))
    assert search_question("And what about complaints?", said) == "And what about complaints?"


@pytest.mark.parametrize("question", ["And for subsidence?", "Why?", "What about it?", "Is that so?"])
def test_a_question_that_leans_on_the_last_one_takes_it_along(question: str) -> None:
    said = (
        (Role.USER, "What is the excess for water?"),
        (Role.PERSONA, "It is 500 pounds."),
        (Role.USER, question),
    )
    assert search_question(question, said) == f"What is the excess for water? {question}"


@pytest.mark.parametrize("question", ["What does my policy say about stolen bicycles?", "Subsidence excess?"])
def test_a_question_that_stands_alone_is_left_as_it_is(question: str) -> None:
    said = ((Role.USER, "What is the excess for water?"), (Role.USER, question))
    assert search_question(question, said) == question


def test_the_first_question_has_nothing_to_lean_on() -> None:
    assert search_question("Why?", ((Role.PERSONA, "Hello."), (Role.USER, "Why?"))) == "Why?"


@pytest.mark.parametrize(
    ("markdown", "sentences"),
    [
        (
            "Send **photographs** of the [damage](x.md),\nand `receipts`.  Keep _everything_.",
            ("Send photographs of the damage, and receipts.", "Keep everything."),
        ),
        (
            "You need:\n\n- your name;\n- the address\n- the date.",
            ("You need: your name; the address; the date.",),
        ),
        ("- One thing\n- Another thing", ("One thing.", "Another thing.")),
        ("| Item | Limit |\n|---|---|\n| Cash | 500 pounds |", ("Item, Limit.", "Cash, 500 pounds.")),
        ("> Quoted words.", ("Quoted words.",)),
        ("", ()),
    ],
)
def test_markup_is_not_spoken(markdown: str, sentences: tuple[str, ...]) -> None:
    assert spoken_sentences(markdown) == sentences


def test_a_long_sentence_stays_one() -> None:
    long = "This sentence goes on, " + ", ".join(["and it goes on"] * 30) + "."
    assert spoken_sentences(long) == (long,)


def test_only_so_many_candidates_are_read_and_compared() -> None:
    passages = [_passage("Water is wet. " * 20, chunk=f"d:{n}") for n in range(9)]
    candidates = candidates_of(passages)
    assert len(candidates) == CANDIDATES_MAX
    assert len(nearest_by_words("water", passages, candidates)) == COMPARED_MAX


def test_words_in_the_sentence_beat_words_in_the_heading_beat_none() -> None:
    passages = [
        _passage("The excess is 500 pounds."),
        _passage("It is 500 pounds.", heading="Excess"),
        _passage("Sheds are locked."),
    ]
    candidates = candidates_of(passages)
    ranked = scored("What is the excess?", passages, candidates, [0.5, 0.5, 0.5])
    assert [each.candidate.passage for each in ranked] == [0, 1, 2]


def test_a_question_for_a_number_prefers_a_sentence_with_one() -> None:
    passages = [_passage("Report damage soon. Report damage within 30 days.")]
    ranked = scored("How long to report damage?", passages, candidates_of(passages), [0.5, 0.5])
    assert "30" in ranked[0].candidate.text


@pytest.mark.parametrize("ranked", [(), (_scored(ANSWER_SCORE_MIN - 0.01, "Near.", 0),)])
def test_what_the_documents_do_not_hold_is_not_answered(ranked: tuple[Scored, ...]) -> None:
    given = answer(ranked, not_found=NOT_FOUND)
    assert (given.sentences, given.certainty) == ((NOT_FOUND,), Certainty.NOT_FOUND)


def test_an_uncertain_answer_says_so_first() -> None:
    ranked = (_scored(CERTAIN_SCORE_MIN - 0.01, "Maybe this.", 0), _scored(0.9, "Or this.", 1))
    given = answer(ranked, not_found=NOT_FOUND)
    assert (given.sentences, given.certainty) == ((UNCERTAIN, "Maybe this."), Certainty.CLOSEST)


def test_a_sentence_comes_with_the_one_that_it_leans_on() -> None:
    passages = [_passage("The standard excess is 250 pounds. It is 500 pounds for water.")]
    candidates = candidates_of(passages)
    given = answer((Scored(candidates[1], 1.2),), not_found=NOT_FOUND)
    assert given.sentences == ("The standard excess is 250 pounds.", "It is 500 pounds for water.")


def test_sentences_of_one_passage_are_told_in_its_order_and_those_of_others_not_at_all() -> None:
    ranked = (
        _scored(1.3, "Second.", 1),
        _scored(1.25, "Elsewhere.", 0, passage=1),
        _scored(1.2, "First.", 0),
    )
    assert answer(ranked, not_found=NOT_FOUND).sentences == ("First.", "Second.")


def test_an_answer_is_short_enough_to_listen_to() -> None:
    long = " ".join(["word"] * (ANSWER_WORDS_MAX - 5))
    ranked = tuple(_scored(1.3 - n / 100, f"{long} {n}.", n) for n in range(4))
    assert answer(ranked, not_found=NOT_FOUND).sentences == (f"{long} 0.",)
    ranked = tuple(_scored(1.3 - n / 100, f"Short {n}.", n, before=f"Lead {n}.") for n in range(0, 8, 2))
    assert len(answer(ranked, not_found=NOT_FOUND).sentences) <= ANSWER_SENTENCES_MAX
