"""What the workflow needs to know of a stream, folded without the words that stand in it."""

from __future__ import annotations

from collections.abc import Iterable

from domain.conversation.lifecycle import (
    LoggedConversation,
    Timers,
)
from domain.events.catalogue import (
    ConversationEnded,
    ConversationRequested,
    ConversationSealed,
    ConversationStarted,
    MediaAssigned,
    MediaLost,
)
from domain.events.envelope import RecordedEvent
from domain.events.payload import Payload


def note_all(
    logged: LoggedConversation | None, events: Iterable[RecordedEvent[Payload]]
) -> LoggedConversation | None:
    """None for a stream that does not begin with a request."""
    for event in events:
        logged = _note(logged, event)
    return logged


def _note(logged: LoggedConversation | None, event: RecordedEvent[Payload]) -> LoggedConversation | None:
    payload = event.payload
    if logged is None:
        if not isinstance(payload, ConversationRequested):
            return None
        return LoggedConversation(
            version=event.version,
            epoch=event.session_epoch,
            timers=Timers.of(payload.properties),
            requested_event_id=event.event_id,
        )
    changes: dict[str, object] = {
        "version": event.version,
        "epoch": max(logged.epoch, event.session_epoch),
    }
    match payload:
        case ConversationStarted():
            changes["started_at"] = event.occurred_at
        case MediaAssigned():
            changes["worker_id"], changes["assigned_event_id"] = payload.worker_id, event.event_id
            changes["workers_assigned"] = logged.workers_assigned + 1
        case MediaLost():
            changes["worker_id"], changes["assigned_event_id"] = None, None
        case ConversationEnded():
            changes["end_reason"] = payload.reason
        case ConversationSealed():
            changes["sealed"] = True
        case _:
            pass
    return logged.model_copy(update=changes)
