"""A conversation folded from its events: lifecycle, owner and turns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from domain.conversation.transcript import Transcript
from domain.events.catalogue import (
    ConversationEnded,
    ConversationPayload,
    ConversationRequested,
    ConversationSealed,
    ConversationStarted,
    DisclosurePresented,
    EndReason,
    FloorChanged,
    GuardrailEvaluated,
    HandoffRequested,
    MediaAssigned,
    MediaConnected,
    MediaDisconnected,
    MediaLost,
    MediaUnavailable,
    ParticipantJoined,
    ParticipantLeft,
    PromptAssembled,
    RecordingSegmentSealed,
    ReplyGenerated,
    RetrievalPerformed,
    SentenceCommitted,
    SentenceInterrupted,
    SentencePlayed,
    SentenceSynthesised,
    TextInjected,
    UtteranceTranscribed,
)
from domain.events.envelope import RecordedEvent
from domain.events.payload import Payload
from domain.ids import EventId, ParticipantId


class Status(StrEnum):
    REQUESTED = "requested"
    AWAITING_PARTICIPANT = "awaiting_participant"
    LIVE = "live"
    REASSIGNING = "reassigning"
    WRAPPING_UP = "wrapping_up"
    SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class Conversation:
    """`version` is that of the last event folded, 0 before the first."""

    version: int = 0
    epoch: int = 0
    status: Status = Status.REQUESTED
    requested: ConversationRequested | None = None
    started_at: datetime | None = None
    worker: MediaAssigned | None = None
    # The event that assigned that worker, or the one before it.
    assigned_event_id: EventId | None = None
    # Why no media worker has taken it so far; None while it has one, and before it was known.
    waiting: MediaUnavailable | None = None
    participant_id: ParticipantId | None = None
    connections: int = 0
    connected: bool = False
    disclosed: bool = False
    end_reason: EndReason | None = None
    sealed: ConversationSealed | None = None
    # Where the recording's timeline stood at the last event that has a place on it.
    media_ms: int = 0
    # Files of the recording, as their events name them.
    recorded: frozenset[str] = frozenset()
    transcript: Transcript = field(default_factory=Transcript)


def fold(events: Iterable[RecordedEvent[Payload]], state: Conversation | None = None) -> Conversation:
    """Applies events in their order. Raises ValueError on a gap, since a state with a hole is no state."""
    state = state or Conversation()
    for event in events:
        if event.version != state.version + 1:
            raise ValueError(f"version {event.version} does not follow {state.version}")
        state = evolve(state, event)
    return state


def evolve(state: Conversation, event: RecordedEvent[Payload]) -> Conversation:
    payload = event.payload
    if not isinstance(payload, ConversationPayload):
        raise TypeError(f"{payload.type} does not belong to a conversation")
    state = replace(
        state,
        version=event.version,
        epoch=max(state.epoch, event.session_epoch),
        media_ms=max(state.media_ms, event.media_ms or 0),
        transcript=state.transcript.evolve(payload, at=event.occurred_at, turn_id=event.correlation_id),
    )
    if isinstance(payload, MediaAssigned):
        state = replace(state, assigned_event_id=event.event_id)
    return _lifecycle(state, payload, event.occurred_at)


def _lifecycle(state: Conversation, payload: ConversationPayload, at: datetime) -> Conversation:
    match payload:
        case ConversationRequested():
            return replace(state, requested=payload)
        case ConversationStarted():
            return replace(state, status=Status.LIVE, started_at=at)
        case ConversationEnded():
            return replace(state, status=Status.WRAPPING_UP, end_reason=payload.reason, waiting=None)
        case ConversationSealed():
            return replace(state, status=Status.SEALED, sealed=payload)
        case DisclosurePresented():
            return replace(state, disclosed=True)
        case ParticipantJoined():
            return replace(state, participant_id=payload.participant_id)
        case ParticipantLeft():
            return replace(state, connected=False)
        case MediaAssigned() | MediaConnected() | MediaDisconnected() | MediaLost() | MediaUnavailable():
            return _media(state, payload)
        case RecordingSegmentSealed():
            return replace(state, recorded=state.recorded | {payload.file})
        case (
            FloorChanged()
            | UtteranceTranscribed()
            | TextInjected()
            | RetrievalPerformed()
            | PromptAssembled()
            | ReplyGenerated()
            | GuardrailEvaluated()
            | SentenceCommitted()
            | SentenceSynthesised()
            | SentencePlayed()
            | SentenceInterrupted()
            | HandoffRequested()
        ):
            return state
        case _:
            assert_never(payload)


def _media(
    state: Conversation,
    payload: MediaAssigned | MediaConnected | MediaDisconnected | MediaLost | MediaUnavailable,
) -> Conversation:
    over = state.status in (Status.WRAPPING_UP, Status.SEALED)
    match payload:
        case MediaAssigned():
            back = Status.LIVE if state.started_at else Status.AWAITING_PARTICIPANT
            status = state.status if over else back
            return replace(state, worker=payload, waiting=None, connected=False, status=status)
        case MediaConnected():
            return replace(state, connected=True, connections=payload.connection)
        case MediaDisconnected():
            # The end of a connection that another one has replaced is not the participant's absence.
            gone = payload.connection == state.connections
            return replace(state, connected=state.connected and not gone)
        case MediaLost():
            status = state.status if over else Status.REASSIGNING
            return replace(state, worker=None, waiting=None, connected=False, status=status)
        case MediaUnavailable():
            return replace(state, waiting=None if over else payload)
        case _:
            assert_never(payload)
