"""What workflows and media workers would append, appended by a test."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

from activities.store.event_store import PostgresEventStore
from domain.events.catalogue import ConversationEnded, EndReason, MediaAssigned
from domain.events.envelope import Actor, ActorKind, NewEvent
from domain.events.payload import Payload
from domain.ids import ConversationId, EventId, TenantId, WorkerId, conversation_stream
from tests.fakes.api import FakeMedia


class Log:
    """Appends what workflows and media workers would."""

    def __init__(self, store: PostgresEventStore, tenant_id: TenantId) -> None:
        self._store, self._tenant_id = store, tenant_id

    async def assign(self, conversation_id: str, *, epoch: int = 1, address: str = FakeMedia.ADDRESS) -> None:
        await self.append(
            conversation_id, MediaAssigned(worker_id=WorkerId(uuid4()), address=address), epoch=epoch
        )

    async def end(self, conversation_id: str, *, epoch: int = 2) -> None:
        await self.append(
            conversation_id, ConversationEnded(reason=EndReason.PARTICIPANT_HUNG_UP), epoch=epoch
        )

    async def append(self, conversation_id: str, payload: Payload, *, epoch: int) -> None:
        event = NewEvent[Payload](
            event_id=EventId(uuid4()),
            occurred_at=datetime.now(UTC),
            actor=Actor(kind=ActorKind.WORKFLOW, id=conversation_id),
            payload=payload,
        )
        stream = conversation_stream(ConversationId(UUID(conversation_id)))
        await self._store.append(self._tenant_id, stream, [event], expected="any", epoch=epoch)
