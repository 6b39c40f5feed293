"""The envelope of every event: where it stands, when, by whom and why."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from pydantic import Field

from domain.events.canonical import Json
from domain.events.payload import Frozen, Payload
from domain.ids import EventId, StreamId, TenantId, TurnId

PayloadT_co = TypeVar("PayloadT_co", bound=Payload, covariant=True)


class ActorKind(StrEnum):
    PARTICIPANT = "participant"
    PERSONA = "persona"
    OPERATOR = "operator"
    SERVICE = "service"  # A program with an API key.
    WORKFLOW = "workflow"
    MEDIA_WORKER = "media_worker"
    SYSTEM = "system"


class Classification(StrEnum):
    PUBLIC = "public"
    PERSONAL = "personal"
    BIOMETRIC = "biometric"


class Actor(Frozen):
    """Who did it. The id is one of ours, random; never a name or an address."""

    kind: ActorKind
    id: str = Field(max_length=64)


class NewEvent(Frozen, Generic[PayloadT_co]):
    """An event that is not stored yet."""

    event_id: EventId
    occurred_at: datetime
    actor: Actor
    payload: PayloadT_co
    # The event or command that this one follows from.
    causation_id: EventId | None = None
    # The turn or the request that it belongs to.
    correlation_id: TurnId | None = None
    # Milliseconds on the recording's timeline; None outside media.
    media_ms: int | None = None

    @property
    def classification(self) -> Classification:
        return Classification.PERSONAL if self.payload.personal else Classification.PUBLIC


class RecordedEvent(NewEvent[PayloadT_co], Generic[PayloadT_co]):
    """An event as it stands in the log. Order is `version`, never time."""

    tenant_id: TenantId
    stream_id: StreamId
    version: int = Field(ge=1)
    recorded_at: datetime
    session_epoch: int = Field(ge=0)
    # The schema version that was stored; the payload has been brought up to the newest.
    stored_schema_version: int = Field(ge=1)
    # SHA-256 of the stored payload bytes.
    payload_sha256: str
    # As it was stored; a later release may judge the payload otherwise, and the header must not change.
    stored_classification: Classification | None = None

    @property
    def classification(self) -> Classification:
        return self.stored_classification or super().classification

    def header(self) -> dict[str, Json]:
        """What the log commits to: everything but the payload, which its digest stands for."""
        return {
            "actor": {"id": self.actor.id, "kind": self.actor.kind.value},
            "causation_id": None if self.causation_id is None else str(self.causation_id),
            "classification": self.classification.value,
            "correlation_id": None if self.correlation_id is None else str(self.correlation_id),
            "event_id": str(self.event_id),
            "media_ms": self.media_ms,
            "occurred_at": self.occurred_at.isoformat(),
            "payload_sha256": self.payload_sha256,
            "recorded_at": self.recorded_at.isoformat(),
            "schema_version": self.stored_schema_version,
            "session_epoch": self.session_epoch,
            "stream_id": self.stream_id,
            "tenant_id": str(self.tenant_id),
            "type": self.payload.type,
            "version": self.version,
        }
