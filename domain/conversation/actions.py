"""What is to be done for a conversation, as its lifecycle asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from domain.events.catalogue import EndReason
from domain.ids import EventId, WorkerId

LostReason = Literal[
    "heartbeat_timeout", "worker_failed", "no_worker", "refused", "worker_stopped", "workflow_restarted"
]


@dataclass(frozen=True, slots=True)
class StartSession:
    """Find a worker until `claim_until` and give it the session. `cause` is the event that made it needed,
    None where that is the media.lost which was recorded just before."""

    epoch: int
    claim_until: datetime
    cause: EventId | None


@dataclass(frozen=True, slots=True)
class DrainSession:
    epoch: int


@dataclass(frozen=True, slots=True)
class RecordStarted:
    epoch: int
    cause: EventId | None


@dataclass(frozen=True, slots=True)
class RecordLost:
    """Appended under the new epoch, so that the lost owner can write no more from then on."""

    epoch: int
    worker_id: WorkerId
    reason: LostReason
    cause: EventId | None


@dataclass(frozen=True, slots=True)
class Reload:
    """The log knows a newer owner than this workflow does: begin again from what it says."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Raise the epoch, end and seal. `last_version` is the drained session's, None when none reported.
    `asked_by` is the API key of the program that asked for the end, if one did."""

    epoch: int
    reason: EndReason
    cause: EventId | None
    last_version: int | None
    gaps: tuple[str, ...]
    asked_by: UUID | None = None


Action = StartSession | DrainSession | RecordStarted | RecordLost | Reload | Seal
