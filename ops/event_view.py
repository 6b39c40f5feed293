"""An event as programs read it: the same JSON from HTTP and from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, JsonValue

from domain.events.envelope import Actor, Classification, RecordedEvent
from domain.events.payload import Payload
from domain.ids import EventId, TurnId


class EventView(BaseModel):
    """One event of a stream. Order is `version`, never time."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "version": 7,
                    "event_id": "01939f5e-2d3c-7a51-9f0e-0c5b8a4f1e22",
                    "type": "floor.changed",
                    "schema_version": 1,
                    "occurred_at": "2026-03-02T09:30:12.480Z",
                    "recorded_at": "2026-03-02T09:30:12.484Z",
                    "media_ms": 4120,
                    "actor": {"kind": "media_worker", "id": "4f7c1e0a-7c3f-4c62-9a55-9a2f4f1f8f10"},
                    "causation_id": None,
                    "correlation_id": None,
                    "session_epoch": 1,
                    "classification": "public",
                    "payload": {"state": "participant", "reason": "speech"},
                }
            ]
        },
    )

    version: int
    event_id: EventId
    type: str
    schema_version: int
    occurred_at: datetime
    recorded_at: datetime
    media_ms: int | None
    actor: Actor
    causation_id: EventId | None
    correlation_id: TurnId | None
    session_epoch: int
    classification: Classification
    payload: Mapping[str, JsonValue]

    @classmethod
    def of(cls, event: RecordedEvent[Payload]) -> EventView:
        """The payload is shown in its newest shape, and `schema_version` names that shape."""
        return cls(
            version=event.version,
            event_id=event.event_id,
            type=event.payload.type,
            schema_version=event.payload.schema_version,
            occurred_at=event.occurred_at,
            recorded_at=event.recorded_at,
            media_ms=event.media_ms,
            actor=event.actor,
            causation_id=event.causation_id,
            correlation_id=event.correlation_id,
            session_epoch=event.session_epoch,
            classification=event.classification,
            payload=event.payload.model_dump(mode="json"),
        )
