"""What a call is reported as: one JSON document of the events in the log and the caller's own figures."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, Field

from domain.conversation.transcript import Transcript, Turn
from domain.events.catalogue import (
    MediaConnected,
    SentenceCommitted,
    SentenceInterrupted,
    SentencePlayed,
    UtteranceTranscribed,
)
from domain.events.payload import Payload
from domain.events.schema import SCHEMA
from domain.ids import SentenceId
from ops.caller.latency import TurnLatency, measure, percentile
from ops.caller.phone import Stages
from ops.caller.ring import Outcome
from ops.event_view import EventView

# The first audio of a turn follows its stages closely; what comes later belongs to another sentence.
STAGES_AFTER_REPLY_S = 0.5


class WordRow(BaseModel):
    """`start_s` and `end_s` are seconds from the call's first packet."""

    w: str
    start_s: float
    end_s: float
    confidence: float


class TurnRow(BaseModel):
    turn: int
    role: Literal["user", "persona", "injected"]
    text: str
    played_text: str | None
    interrupted: bool
    started_at: datetime
    ended_at: datetime
    words: list[WordRow]


class LatencyFigures(BaseModel):
    turns: int
    p50: int | None
    p95: int | None
    max: int | None
    each: list[int | None]
    cut_ins: int


class StageFigures(BaseModel):
    end_of_turn: float | None = None
    recognition: float | None = None
    answer: float | None = None
    gate_and_commit: float | None = None
    synthesis: float | None = None
    transport: float | None = None


class VideoFigures(BaseModel):
    frames: int
    fps: float
    longest_gap_ms: int


class SavedFiles(BaseModel):
    heard: str
    video: str
    events: str


class CallDocument(BaseModel):
    """The form is published: fields are added, never changed."""

    conversation_id: str | None
    status: Literal["sealed", "failed"]
    transcript: list[TurnRow]
    events: dict[str, int]
    latency_ms: LatencyFigures
    stages_ms: StageFigures
    video: VideoFigures
    saved: SavedFiles | None
    error: str | None = Field(default=None, exclude_if=lambda error: error is None)


def document(outcome: Outcome, *, saved: SavedFiles | None) -> CallDocument:
    turns = measure(outcome.spoken, outcome.replies)
    return CallDocument(
        conversation_id=None if outcome.conversation_id is None else str(outcome.conversation_id),
        status="sealed" if outcome.error is None else "failed",
        transcript=transcript_rows(outcome.events),
        events=dict(Counter(event.type for event in outcome.events)),
        latency_ms=latency_figures(turns),
        stages_ms=stage_figures(outcome, turns),
        video=VideoFigures(
            frames=outcome.seen.frames,
            fps=round(outcome.seen.fps, 2),
            longest_gap_ms=round(outcome.seen.longest_gap_ms),
        ),
        saved=saved,
        error=outcome.error,
    )


def latency_figures(turns: Sequence[TurnLatency]) -> LatencyFigures:
    each = [turn.latency_ms for turn in turns if turn.counts]
    known = [latency for latency in each if latency is not None]
    return LatencyFigures(
        turns=len(turns),
        p50=round(percentile(known, 0.5)) if known else None,
        p95=round(percentile(known, 0.95)) if known else None,
        max=round(max(known)) if known else None,
        each=[None if latency is None else round(latency) for latency in each],
        cut_ins=sum(turn.cut_ins for turn in turns),
    )


def stage_figures(outcome: Outcome, turns: Sequence[TurnLatency]) -> StageFigures:
    """Medians over the turns whose answer and stages are both known. `transport` is what of the measured time
    the worker's stages do not account for: network, buffers and codecs of both sides."""
    found: list[tuple[float, Stages]] = []
    for spoken, turn in zip(outcome.spoken, turns, strict=True):
        if turn.latency_ms is None:
            continue
        until_s = spoken.last_s + turn.latency_ms / 1000 + STAGES_AFTER_REPLY_S
        mine = [stages for at_s, stages in outcome.stages if spoken.last_s <= at_s <= until_s]
        if mine:
            found.append((turn.latency_ms, mine[-1]))
    if not found:
        return StageFigures()

    def median(values: Sequence[float]) -> float:
        return round(statistics.median(values), 1)

    return StageFigures(
        end_of_turn=median([stages.end_of_turn for _, stages in found]),
        recognition=median([stages.recognition for _, stages in found]),
        answer=median([stages.answer for _, stages in found]),
        gate_and_commit=median([stages.gate_and_commit for _, stages in found]),
        synthesis=median([stages.synthesis for _, stages in found]),
        transport=median([latency_ms - stages.total_ms for latency_ms, stages in found]),
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """When a line was said. `ahead_ms` is how far its epoch's timeline stands behind the first one's: what a
    worker that took over found of the recording is shorter than the call by the time that nobody recorded."""

    began: datetime
    ended: datetime
    ahead_ms: int = 0


def transcript_rows(views: Sequence[EventView]) -> list[TurnRow]:
    """One row per turn. A persona's time is that of what was played, as far as it was."""
    transcript = Transcript()
    places: list[_Place] = []
    lines: dict[SentenceId, int] = {}
    clocks = _clocks(views)
    for view in views:
        payload = SCHEMA.decode(view.type, view.schema_version, json.dumps(dict(view.payload)).encode())
        before = transcript.count
        transcript = transcript.evolve(payload, at=view.occurred_at, turn_id=view.correlation_id)
        if transcript.count > before:
            places.append(_place(view, payload, clocks))
        match payload:
            case SentenceCommitted():
                lines[payload.sentence_id] = len(places) - 1
            case SentencePlayed() | SentenceInterrupted() if payload.sentence_id in lines:
                places[lines[payload.sentence_id]] = _place(view, payload, clocks)
    rows: list[TurnRow] = []
    for turn in transcript.turns():
        mine, places = places[: len(turn.lines)], places[len(turn.lines) :]
        rows.append(_row(turn, mine, first_packet_ms(views)))
    return rows


def first_packet_ms(views: Sequence[EventView]) -> int:
    """Where the recording's timeline stood when the call's first packet went out: it runs from the assignment
    of the worker on, before anybody is connected."""
    connected = (view.media_ms for view in views if view.type == MediaConnected.type)
    return next(connected, None) or 0


def _row(turn: Turn, places: Sequence[_Place], zero_ms: int) -> TurnRow:
    return TurnRow(
        turn=turn.number,
        role=turn.role.value,
        text=turn.text,
        played_text=turn.played_text,
        interrupted=turn.interrupted,
        started_at=min(place.began for place in places),
        ended_at=max(place.ended for place in places),
        words=[
            WordRow(
                w=word.w,
                start_s=round((word.start_ms + place.ahead_ms - zero_ms) / 1000, 3),
                end_s=round((word.end_ms + place.ahead_ms - zero_ms) / 1000, 3),
                confidence=word.confidence,
            )
            for line, place in zip(turn.lines, places, strict=True)
            for word in line.words
        ],
    )


def _clocks(views: Sequence[EventView]) -> dict[int, datetime]:
    """For each epoch, when its timeline stood at zero. An event may be noted a while after its place on the
    timeline, never before it, so that the earliest answer is the right one."""
    clocks: dict[int, datetime] = {}
    for view in views:
        if view.media_ms is not None:
            zero = view.occurred_at - timedelta(milliseconds=view.media_ms)
            clocks[view.session_epoch] = min(zero, clocks.get(view.session_epoch, zero))
    return clocks


def _place(view: EventView, payload: Payload, clocks: dict[int, datetime]) -> _Place:
    """Where it was said, from its place on the recording."""
    match payload:
        case UtteranceTranscribed(started_media_ms=began, ended_media_ms=ended):
            span = (began, ended)
        case SentencePlayed(started_media_ms=began, played_ms=played):
            span = (began, began + played)
        case SentenceInterrupted(started_media_ms=int(began), played_ms=played):
            span = (began, began + played)
        case _:
            return _Place(view.occurred_at, view.occurred_at)
    zero = clocks.get(view.session_epoch)
    if zero is None:
        return _Place(view.occurred_at, view.occurred_at)
    began_at, ended_at = (zero + timedelta(milliseconds=at_ms) for at_ms in span)
    first = clocks[min(clocks)]
    return _Place(began_at, ended_at, round((zero - first).total_seconds() * 1000))
