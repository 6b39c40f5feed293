"""Events to append, for tests that care where they stand and not what they say."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

from domain.conversation.properties import ConversationProperties
from domain.events.catalogue import (
    ConversationEnded,
    ConversationRequested,
    ConversationSealed,
    ConversationStarted,
    EndReason,
    MediaAssigned,
    TextInjected,
)
from domain.events.envelope import Actor, ActorKind, NewEvent
from domain.events.payload import Payload
from domain.ids import ConversationId, EventId, PersonaId, StreamId, WorkerId, conversation_stream

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def new_stream() -> StreamId:
    return conversation_stream(ConversationId(uuid4()))


def new_event(
    payload: Payload, *, occurred_at: datetime = NOON, media_ms: int | None = None
) -> NewEvent[Payload]:
    return NewEvent(
        event_id=EventId(uuid4()),
        occurred_at=occurred_at,
        actor=Actor(kind=ActorKind.SYSTEM, id="tests"),
        payload=payload,
        media_ms=media_ms,
    )


def said(text: str = "hello") -> NewEvent[Payload]:
    return new_event(TextInjected(text=text))


def several(count: int) -> list[NewEvent[Payload]]:
    return [said(f"line {number}") for number in range(count)]


def requested(persona_id: UUID | None = None) -> NewEvent[Payload]:
    return new_event(
        ConversationRequested(
            persona_id=PersonaId(persona_id or uuid4()),
            persona_revision=1,
            policy_revision="0" * 64,
            knowledge_revision="0" * 64,
            properties=ConversationProperties(),
        )
    )


def assigned() -> NewEvent[Payload]:
    return new_event(MediaAssigned(worker_id=WorkerId(uuid4()), address="http://127.0.0.1:1"))


def started() -> NewEvent[Payload]:
    return new_event(ConversationStarted())


def ended() -> NewEvent[Payload]:
    return new_event(ConversationEnded(reason=EndReason.REQUESTED))


def sealed(count: int) -> NewEvent[Payload]:
    return new_event(ConversationSealed(count=count, headers_sha256="0" * 64, capture="complete"))
