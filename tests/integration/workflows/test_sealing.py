"""The seal stands at the exact version that was surveyed, once, whoever else writes meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from activities.conversations import SEAL_ATTEMPTS_MAX, ConversationActivities, ConversationNotFound
from domain.errors import StaleEpoch, Unavailable
from domain.events.canonical import canonical_bytes
from domain.events.catalogue import ConversationSealed, EndReason, TextInjected
from domain.events.envelope import Actor, ActorKind, NewEvent
from domain.events.payload import Payload
from domain.ids import ConversationId, EventId, StreamId, TenantId, conversation_stream
from domain.ports import EVENTS_READ_MAX, Appended, EventStore, Expected
from tests.fakes.event_store import StoreBehind
from tests.temporal_fixtures import World
from workflows.contracts import AppendStarted, LoadConversation, SealConversation


class InterruptedStore(StoreBehind):
    """A store in which somebody else appends just before each of the first `times` seals."""

    def __init__(self, store: EventStore, *, times: int) -> None:
        super().__init__(store)
        self._times = times

    async def append(
        self,
        tenant_id: TenantId,
        stream_id: StreamId,
        events: Sequence[NewEvent[Payload]],
        *,
        expected: Expected,
        epoch: int,
    ) -> Appended:
        if isinstance(events[0].payload, ConversationSealed) and self._times > 0:
            self._times -= 1
            await self._store.append(tenant_id, stream_id, [injected()], expected="any", epoch=epoch)
        return await super().append(tenant_id, stream_id, events, expected=expected, epoch=epoch)


def injected() -> NewEvent[Payload]:
    return NewEvent(
        event_id=EventId(uuid4()),
        occurred_at=datetime.now(UTC),
        actor=Actor(kind=ActorKind.SERVICE, id="tests"),
        payload=TextInjected(text="The caller is known."),
    )


def order(world: World, conversation_id: ConversationId, *, epoch: int = 1) -> SealConversation:
    return SealConversation(
        tenant_id=world.tenant_id,
        conversation_id=conversation_id,
        epoch=epoch,
        reason=EndReason.IDLE,
        ended_event_id=EventId(uuid4()),
        sealed_event_id=EventId(uuid4()),
        occurred_at=datetime.now(UTC),
        cause=None,
        last_version=1,
        gaps=(),
    )


async def test_whoever_appends_in_between_is_surveyed_as_well(world: World) -> None:
    conversation_id = await world.request()
    activities = ConversationActivities(InterruptedStore(world.store, times=2))

    sealed = await activities.seal_conversation(order(world, conversation_id))

    events = await world.events(conversation_id)
    assert [event.payload.type for event in events] == [
        "conversation.requested",
        "conversation.ended",
        "text.injected",
        "text.injected",
        "conversation.sealed",
    ]
    lines = b"".join(canonical_bytes(event.header()) + b"\n" for event in events[:-1])
    assert (sealed.version, sealed.count) == (5, 4)
    assert sealed.headers_sha256 == hashlib.sha256(lines).hexdigest()


async def test_a_stream_that_never_stands_still_is_given_up_for_this_attempt(world: World) -> None:
    conversation_id = await world.request()
    activities = ConversationActivities(InterruptedStore(world.store, times=SEAL_ATTEMPTS_MAX))

    with pytest.raises(Unavailable, match="grew each time"):
        await activities.seal_conversation(order(world, conversation_id))

    assert (await activities.seal_conversation(order(world, conversation_id))).complete


async def test_sealing_twice_seals_once(world: World) -> None:
    conversation_id = await world.request()
    activities = ConversationActivities(world.store)

    first = await activities.seal_conversation(order(world, conversation_id))
    again = await activities.seal_conversation(order(world, conversation_id, epoch=2))

    assert again == first
    assert (await world.types(conversation_id)).count("conversation.sealed") == 1


async def test_an_older_owner_cannot_seal(world: World) -> None:
    conversation_id = await world.request()
    stream = conversation_stream(conversation_id)
    await world.store.append(world.tenant_id, stream, [injected()], expected="any", epoch=4)

    with pytest.raises(StaleEpoch):
        await ConversationActivities(world.store).seal_conversation(order(world, conversation_id))


async def test_an_append_that_is_tried_again_is_stored_once(world: World) -> None:
    conversation_id = await world.request()
    activities = ConversationActivities(world.store)
    started = AppendStarted(
        tenant_id=world.tenant_id,
        conversation_id=conversation_id,
        epoch=1,
        event_id=EventId(uuid4()),
        occurred_at=datetime.now(UTC),
        cause=None,
    )

    assert await activities.append_started(started) == await activities.append_started(started)
    assert await world.types(conversation_id) == ["conversation.requested", "conversation.started"]


async def test_a_conversation_that_was_never_requested_is_not_found(world: World) -> None:
    request = LoadConversation(tenant_id=world.tenant_id, conversation_id=ConversationId(uuid4()))

    with pytest.raises(ConversationNotFound):
        await ConversationActivities(world.store).load_conversation(request)


async def test_a_long_stream_is_read_page_by_page(world: World) -> None:
    conversation_id = await world.request()
    stream = conversation_stream(conversation_id)
    for _ in range(2):
        batch = [injected() for _ in range(EVENTS_READ_MAX)]
        await world.store.append(world.tenant_id, stream, batch, expected="any", epoch=1)

    sealed = await ConversationActivities(world.store).seal_conversation(order(world, conversation_id))

    assert sealed.count == 2 * EVENTS_READ_MAX + 2
