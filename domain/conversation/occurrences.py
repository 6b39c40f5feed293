"""What can happen to a conversation, as its lifecycle is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from domain.events.catalogue import EndReason
from domain.events.payload import Frozen
from domain.ids import EventId, WorkerId
from domain.ports import Fact


class SessionOutcome(StrEnum):
    """How the media session of one epoch ended."""

    DRAINED = "drained"  # It wrote all it had, because it was asked to or the participant hung up.
    RETIRED = "retired"  # It wrote all it had, because its worker is being stopped.
    NOT_STARTED = "not_started"  # It was called off before it ran.
    LOST = "lost"  # Its heartbeat stopped, or its worker never took it up.
    FAILED = "failed"
    NO_WORKER = "no_worker"  # No worker had a place within the time given.
    REFUSED = "refused"  # The log refused it: somebody with a newer epoch owns the conversation.


class DrainReport(Frozen):
    """`last_version` is that of the session's last event; 0 when it wrote none."""

    last_version: int
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FactsReported:
    epoch: int
    publisher: UUID
    sequence: int
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class SessionAssigned:
    epoch: int
    worker_id: WorkerId
    event_id: EventId


@dataclass(frozen=True, slots=True)
class SessionEnded:
    epoch: int
    outcome: SessionOutcome
    report: DrainReport | None


@dataclass(frozen=True, slots=True)
class EndCommanded:
    command_id: UUID
    reason: EndReason
    # The id of the API key of the program that asks.
    asked_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing happened but time."""


@dataclass(frozen=True, slots=True)
class DrainOrdered:
    """The session of this epoch has been told to drain."""

    epoch: int


@dataclass(frozen=True, slots=True)
class SealStored:
    """The record is closed."""


Occurrence = (
    FactsReported | SessionAssigned | SessionEnded | EndCommanded | TimePassed | DrainOrdered | SealStored
)
