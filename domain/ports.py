"""What the inside needs of the outside. Each port has an implementation that is used, a second one for
tests, and one contract test that both pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from domain.conversation.state import Conversation
from domain.events.catalogue import EndReason
from domain.events.envelope import NewEvent, RecordedEvent
from domain.events.payload import Payload
from domain.ids import ConversationId, EventId, ParticipantId, PersonaId, StreamId, TenantId, WorkerId
from domain.mind.persona import PublishedPersona
from domain.mind.prompt import Passage, Prompt

# An exact version, or one of two words: nothing is expected, or that there is no such stream yet.
Expected = int | Literal["any", "no_stream"]

EVENTS_READ_MAX = 500
BATCH_EVENTS_MAX = 500


@dataclass(frozen=True, slots=True)
class Appended:
    """Where the events of a batch stand. `repeated` says that all of them were stored before."""

    first_version: int
    last_version: int
    recorded_at: datetime
    repeated: bool


@dataclass(frozen=True, slots=True)
class Head:
    version: int
    epoch: int
    sealed: bool


class EventStore(Protocol):
    """The log. Safe to call again with the same events: an append is stored once."""

    async def append(
        self,
        tenant_id: TenantId,
        stream_id: StreamId,
        events: Sequence[NewEvent[Payload]],
        *,
        expected: Expected,
        epoch: int,
    ) -> Appended:
        """Appends 1 to BATCH_EVENTS_MAX events in their order, durably, in one round trip.

        `epoch` is the owner's: an older one than the stream's is refused, a newer one becomes the stream's.
        Raises VersionConflict, StaleEpoch, StreamSealed, BatchOverlap or StoreUnavailable.
        """
        ...

    async def read(
        self, tenant_id: TenantId, stream_id: StreamId, *, after: int = 0, limit: int = EVENTS_READ_MAX
    ) -> list[RecordedEvent[Payload]]:
        """Events with a version above `after`, in order. Empty for a stream that is not there."""
        ...

    async def head(self, tenant_id: TenantId, stream_id: StreamId) -> Head | None: ...


class PersonaLibrary(Protocol):
    async def load(self, tenant_id: TenantId, persona_id: PersonaId, revision: int) -> PublishedPersona:
        """Raises NotFound."""
        ...


@dataclass(frozen=True, slots=True)
class Retrieval:
    passages: tuple[Passage, ...]
    took_ms: float


class Retriever(Protocol):
    async def retrieve(
        self, tenant_id: TenantId, knowledge_revision: str, question: str, *, limit: int
    ) -> Retrieval:
        """The passages that answer best, best first. Raises Unavailable within a bounded time."""
        ...


class Answerer(Protocol):
    """Turns a prompt into text, streamed. Closing the iterator cancels the work."""

    @property
    def name(self) -> str: ...

    def answer(self, prompt: Prompt) -> AsyncIterator[str]: ...


# --- media, as the workflow side sees it ------------------------------------------------------------------
class FactKind(StrEnum):
    """What a media worker tells the workflow. Codes only."""

    PARTICIPANT_CONNECTED = "participant_connected"
    PARTICIPANT_DISCONNECTED = "participant_disconnected"
    ACTIVITY = "activity"  # Someone spoke: the idle timer starts again.
    END_WANTED = "end_wanted"


@dataclass(frozen=True, slots=True)
class Fact:
    kind: FactKind
    reason: EndReason | None = None
    # The event that shows it, where one was appended: what follows names it as its cause.
    cause: EventId | None = None


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """What one assignment of a media worker is given. `version` is that of its media.assigned event."""

    tenant_id: TenantId
    conversation_id: ConversationId
    epoch: int
    state: Conversation


@dataclass(frozen=True, slots=True)
class Drained:
    """The session wrote all it had. `last_version` is that of its last event."""

    last_version: int
    gaps: tuple[str, ...] = ()


# How long a session may take from the order to drain to its result; what it has not written by then is
# missing from the record. The workflow waits longer, for the way of the order and of the result.
SESSION_DRAIN_S_MAX = 3.5


class Drain(asyncio.Event):
    """The order to a session to end. Handed over, its conversation goes on in another session: nobody has
    left, and the participant is to come back."""

    def __init__(self) -> None:
        super().__init__()
        self.handed_over = False

    def hand_over(self) -> None:
        self.handed_over = True
        self.set()


class MediaHost(Protocol):
    """A process that carries live sessions."""

    @property
    def worker_id(self) -> WorkerId: ...

    @property
    def address(self) -> str:
        """Base address of its control endpoint, for the API."""
        ...

    def claim(self, conversation_id: ConversationId) -> bool:
        """Keeps a place for a session for a few seconds; False when all places are taken. The same
        conversation again takes no second place."""
        ...

    async def run(self, spec: SessionSpec, *, drain: Drain, report: Callable[[Fact], None]) -> Drained:
        """Carries the session until `drain` is set, and returns within SESSION_DRAIN_S_MAX of that; raises
        StaleEpoch when another worker has taken it over. Cancelling it silences the session at once."""
        ...


class OfferRefused(StrEnum):
    NO_SESSION = "no_session"
    ANOTHER_PARTICIPANT = "another_participant"
    BAD_OFFER = "bad_offer"


@dataclass(frozen=True, slots=True)
class Offer:
    participant_id: ParticipantId
    sdp: str
