"""Words say whether a speaker has finished, whatever the recogniser's punctuation claims."""

import pytest

from domain.conversation.phrases import Phrase, phrase_of


@pytest.mark.parametrize(
    "text",
    [
        "How do I report a claim for?",
        "What does my policy cover when the?",
        "Can you tell me how long it takes to",
        "My car was stolen last night, and.",
        "Is the deductible different for fire or?",
        "I would like to know whether.",
        "When will the money be paid to?",
        "Why was my claim refused even though I?",
        "So I was driving home, and then,",
        "And so my fellow Americans ask not.",
        "My policy number is",
        "Tell me how",
    ],
)
def test_a_word_that_must_be_followed_by_another_leaves_the_phrase_dangling(text: str) -> None:
    assert phrase_of(text) is Phrase.DANGLING


@pytest.mark.parametrize(
    "text",
    [
        "How do I report a claim for water damage?",
        "Okay, so what does my policy cover?",
        "Who pays for the hotel while my house is repaired",
        "What is it for?",
        "Can you tell me what the limit is?",
        "What is that?",
        "Why not?",
        "Why?",
    ],
)
def test_a_question_with_nothing_missing_is_a_question(text: str) -> None:
    assert phrase_of(text) is Phrase.QUESTION


@pytest.mark.parametrize("text", ["Yes.", "No, thank you.", "Okay", "Yes, I do.", "No."])
def test_a_word_or_two_in_reply_are_an_answer(text: str) -> None:
    assert phrase_of(text) is Phrase.ANSWER


@pytest.mark.parametrize(
    "text",
    [
        "And so my fellow Americans.",
        "Well, the thing is that.",
        "It is four five six",
        "When I came home,",
        "Because my car was stolen",
    ],
)
def test_what_leads_up_to_more_is_open(text: str) -> None:
    assert phrase_of(text) is Phrase.OPEN


@pytest.mark.parametrize(
    "text",
    [
        "My car was stolen last night.",
        "They told me that they are.",
        "And he told me that they would come and look at the damage on Monday morning.",
    ],
)
def test_a_whole_sentence_is_a_statement(text: str) -> None:
    assert phrase_of(text) is Phrase.STATEMENT


def test_a_speaker_who_looks_for_words_hesitates() -> None:
    assert phrase_of("I would like to, um...") is Phrase.HESITATION


@pytest.mark.parametrize("text", ["", "  ", "...", "?"])
def test_no_words_say_nothing(text: str) -> None:
    assert phrase_of(text) is None
