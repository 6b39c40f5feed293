"""What was said, by whom, and how much of it was played: the fold that prompts and pages share.

Generated, synthesised, played and heard are four facts. A sentence that was committed but never played is
no part of what the persona said, and an interrupted one counts with the words that were played.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Literal, assert_never

from domain.conversation.words import Word
from domain.events.catalogue import (
    SentenceCommitted,
    SentenceInterrupted,
    SentencePlayed,
    SpokenSpan,
    TextInjected,
    UtteranceTranscribed,
)
from domain.events.payload import Payload
from domain.ids import SentenceId, TurnId


class Role(StrEnum):
    USER = "user"
    PERSONA = "persona"
    INJECTED = "injected"


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance or one sentence. `played` is None until its fate is known, and for a person."""

    role: Role
    text: str
    turn_id: TurnId | None
    started_at: datetime
    ended_at: datetime
    sentence_id: SentenceId | None = None
    played: str | None = None
    fate: Literal["heard", "pending", "played", "interrupted"] = "heard"
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """Adjacent lines of one role. `number` counts from 1."""

    number: int
    role: Role
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        return " ".join(line.text for line in self.lines)

    @property
    def played_text(self) -> str | None:
        if self.role is not Role.PERSONA:
            return None
        return " ".join(line.played for line in self.lines if line.played)

    @property
    def interrupted(self) -> bool:
        return any(line.fate == "interrupted" for line in self.lines)


@dataclass(frozen=True, slots=True)
class _Fate:
    """What became of a sentence; `played` is None where all of it was."""

    sentence_id: SentenceId
    played: str | None
    fate: Literal["played", "interrupted"]
    at: datetime
    words: tuple[Word, ...]

    def of(self, line: Line) -> Line:
        played = line.text if self.played is None else self.played
        return replace(line, played=played, fate=self.fate, ended_at=self.at, words=self.words)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Entry:
    """The newest of what was taken down, with all that came before it."""

    before: _Entry | None
    taken: Line | _Fate


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Transcript:
    """A value like any other: taking an event down makes a new one, in the same short time however long the
    conversation is, since both share what came before. Reading it takes time with its length."""

    count: int = 0
    """How many lines there are."""
    _newest: _Entry | None = None

    def evolve(self, payload: Payload, *, at: datetime, turn_id: TurnId | None) -> Transcript:
        """`at` is when it happened; the turn is that of the event's envelope."""
        match payload:
            case UtteranceTranscribed():
                words = tuple(Word(w.w, w.start_ms, w.end_ms, w.confidence) for w in payload.words)
                return self._with(Line(Role.USER, payload.text, payload.turn_id, at, at, words=words))
            case TextInjected():
                return self._with(Line(Role.INJECTED, payload.text, turn_id, at, at))
            case SentenceCommitted():
                line = Line(
                    Role.PERSONA, payload.text, payload.turn_id, at, at, payload.sentence_id, fate="pending"
                )
                return self._with(line)
            case SentencePlayed():
                return self._with(_Fate(payload.sentence_id, None, "played", at, _spoken(payload.words)))
            case SentenceInterrupted():
                words = _spoken(payload.words)
                return self._with(_Fate(payload.sentence_id, payload.played_text, "interrupted", at, words))
            case _:
                return self

    @property
    def lines(self) -> tuple[Line, ...]:
        """In the order of the log. A sentence's first fate is its fate; that of no sentence is none."""
        lines: list[Line] = []
        pending: dict[SentenceId, int] = {}
        for taken in self._taken():
            match taken:
                case Line():
                    if taken.sentence_id is not None:
                        pending[taken.sentence_id] = len(lines)
                    lines.append(taken)
                case _Fate():
                    place = pending.pop(taken.sentence_id, None)
                    if place is not None:
                        lines[place] = taken.of(lines[place])
                case _:
                    assert_never(taken)
        return tuple(lines)

    def turns(self) -> tuple[Turn, ...]:
        """Adjacent lines of one role joined, in the order of the log."""
        together = groupby(self.lines, key=lambda line: line.role)
        return tuple(Turn(number, role, tuple(lines)) for number, (role, lines) in enumerate(together, 1))

    def said(self) -> tuple[Line, ...]:
        """What a prompt may hold: the person's words, and of the persona's only those that were played."""
        return tuple(
            line if line.role is not Role.PERSONA else replace(line, text=line.played or "")
            for line in self.lines
            if line.role is not Role.PERSONA or line.played
        )

    def __eq__(self, other: object) -> bool:
        return self.lines == other.lines if isinstance(other, Transcript) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.lines)

    def __repr__(self) -> str:
        # Never the words: a state may be shown where words must not stand.
        return f"Transcript(count={self.count})"

    def _with(self, taken: Line | _Fate) -> Transcript:
        added = 1 if isinstance(taken, Line) else 0
        return Transcript(self.count + added, _Entry(self._newest, taken))

    def _taken(self) -> list[Line | _Fate]:
        taken: list[Line | _Fate] = []
        entry = self._newest
        while entry is not None:
            taken.append(entry.taken)
            entry = entry.before
        taken.reverse()
        return taken


def _spoken(words: tuple[SpokenSpan, ...]) -> tuple[Word, ...]:
    return tuple(Word(w.w, w.start_ms, w.end_ms) for w in words)
