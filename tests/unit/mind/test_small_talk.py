from __future__ import annotations

import pytest

from domain.conversation.transcript import Role
from domain.mind.prompt import OwnTexts
from domain.mind.small_talk import SMALL_TALK_WORDS_MAX, small_talk

TEXTS = OwnTexts("Nora", "You are speaking with an AI.", "I don't have that.")


@pytest.mark.parametrize(
    "question",
    [
        "Are you a robot?",
        "are you real",
        "Are you an AI or what?",
        "Am I talking to a real person?",
        "Is this a recording?",
        "wait, are you actually a human being?",
    ],
)
def test_whoever_asks_is_told_that_it_is_an_ai(question: str) -> None:
    assert small_talk(question, (), TEXTS) == (TEXTS.disclosure,)


def test_the_name_comes_with_the_disclosure() -> None:
    assert small_talk("Who are you?", (), TEXTS) == ("My name is Nora.", TEXTS.disclosure)


@pytest.mark.parametrize(
    "question", ["Hello!", "Good morning, Nora.", "Thank you so much.", "Okay, bye bye."]
)
def test_courtesy_is_returned(question: str) -> None:
    assert small_talk(question, (), TEXTS)


@pytest.mark.parametrize(
    "question",
    [
        "Hello, what is the excess?",
        "Thanks, and how long do I have?",
        "Are you open on Saturdays?",
        "Is this covered?",
        "What is a person's limit?",
        "No.",
        "",
        "hello " * (SMALL_TALK_WORDS_MAX + 1),
    ],
)
def test_what_asks_something_is_left_to_the_documents(question: str) -> None:
    assert small_talk(question, (), TEXTS) is None


def test_asked_to_repeat_it_says_its_last_words_again_as_far_as_they_were_heard() -> None:
    said = (
        (Role.PERSONA, "Hello."),
        (Role.USER, "The excess?"),
        (Role.PERSONA, "The excess is 250 pounds."),
        (Role.PERSONA, "It is 500"),
        (Role.USER, "Sorry, can you repeat that?"),
    )
    assert small_talk("Sorry, can you repeat that?", said, TEXTS) == (
        "The excess is 250 pounds.",
        "It is 500",
    )


def test_with_nothing_said_there_is_nothing_to_repeat() -> None:
    assert small_talk("Say that again, please", (), TEXTS) == ("I haven't said anything yet.",)
