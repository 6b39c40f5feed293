"""The prompt: the newest words, within a bound."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from domain.conversation.transcript import Line, Role
from domain.ids import TurnId
from domain.mind.prompt import (
    LINES_MAX,
    QUESTION_CHARS_MAX,
    SAID_CHARS_MAX,
    OwnTexts,
    Prompt,
    assemble,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def line(text: str) -> Line:
    return Line(Role.USER, text, None, NOON, NOON)


def prompt(*said: Line, question: str = "And now?") -> Prompt:
    return assemble(
        turn_id=TurnId(uuid4()),
        system="",
        context="",
        said=said,
        question=question,
        passages=(),
        texts=OwnTexts(),
    )


def test_the_newest_lines_are_kept_in_their_order() -> None:
    # Given more lines than are kept
    made = prompt(*(line(str(k)) for k in range(LINES_MAX + 5)))

    # Then the oldest are left out
    assert [text for _, text in made.said] == [str(k) for k in range(5, LINES_MAX + 5)]


def test_what_was_said_is_bounded_in_characters_and_whole_lines_are_left_out() -> None:
    # Given lines that are too long together
    made = prompt(line("a" * (SAID_CHARS_MAX // 2)), line("b" * (SAID_CHARS_MAX // 2)), line("c"))

    # Then the oldest is left out whole
    assert [text[0] for _, text in made.said] == ["b", "c"]


def test_of_a_question_without_end_the_end_is_kept() -> None:
    made = prompt(question="x" * QUESTION_CHARS_MAX + "?")
    assert len(made.question) == QUESTION_CHARS_MAX
    assert made.question.endswith("?")
