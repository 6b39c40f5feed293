"""What was said, by whom, and how much of it was played: the fold that prompts and pages share.

Generated, synthesised, played and heard are four facts. A sentence that was committed but never played is
no part of what the persona said, and an interrupted one counts with the words that were played.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal

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
class Transcript:
    lines: tuple[Line, ...] = ()

    def evolve(self, payload: Payload, *, at: datetime, turn_id: TurnId | None) -> Transcript:
        """`at` is when it happened; the turn is that of the event's envelope."""
        match payload:
            case UtteranceTranscribed():
                words = tuple(Word(w.w, w.start_ms, w.end_ms, w.confidence) for w in payload.words)
                line = Line(Role.USER, payload.text, payload.turn_id, at, at, words=words)
                return self._with(line)
            case TextInjected():
                return self._with(Line(Role.INJECTED, payload.text, turn_id, at, at))
            case SentenceCommitted():
                line = Line(
                    Role.PERSONA, payload.text, payload.turn_id, at, at, payload.sentence_id, fate="pending"
                )
                return self._with(line)
            case SentencePlayed():
                return self._settle(payload.sentence_id, None, payload.words, at, "played")
            case SentenceInterrupted():
                text = payload.played_text
                return self._settle(payload.sentence_id, text, payload.words, at, "interrupted")
            case _:
                return self

    def turns(self) -> tuple[Turn, ...]:
        """Adjacent lines of one role joined, in the order of the log."""
        turns: list[Turn] = []
        for line in self.lines:
            if turns and turns[-1].role is line.role:
                turns[-1] = replace(turns[-1], lines=(*turns[-1].lines, line))
            else:
                turns.append(Turn(len(turns) + 1, line.role, (line,)))
        return tuple(turns)

    def said(self) -> tuple[Line, ...]:
        """What a prompt may hold: the person's words, and of the persona's only those that were played."""
        return tuple(
            line if line.role is not Role.PERSONA else replace(line, text=line.played or "")
            for line in self.lines
            if line.role is not Role.PERSONA or line.played
        )

    def _with(self, line: Line) -> Transcript:
        return replace(self, lines=(*self.lines, line))

    def _settle(
        self,
        sentence_id: SentenceId,
        played: str | None,
        words: tuple[SpokenSpan, ...],
        at: datetime,
        fate: Literal["played", "interrupted"],
    ) -> Transcript:
        spoken = tuple(Word(w.w, w.start_ms, w.end_ms) for w in words)
        return replace(
            self,
            lines=tuple(
                replace(
                    line,
                    played=line.text if played is None else played,
                    fate=fate,
                    ended_at=at,
                    words=spoken,
                )
                if line.sentence_id == sentence_id and line.fate == "pending"
                else line
                for line in self.lines
            ),
        )
