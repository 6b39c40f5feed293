"""While every media worker is full, or none is there, a conversation waits, and its record says so."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import cast

import pytest

from domain.conversation.state import Status
from domain.errors import StoreUnavailable
from domain.events.catalogue import EndReason, MediaAssigned, MediaUnavailable, UnavailableReason
from domain.events.envelope import ActorKind, Classification, NewEvent, RecordedEvent
from domain.events.payload import Payload
from domain.ids import ConversationId, StreamId, TenantId
from domain.ports import Appended, EventStore, Expected
from ops.processes.workflow_worker import workflow_worker
from tests.fakes.event_store import StoreBehind
from tests.fakes.events import said
from tests.fakes.media_host import FakeMediaHost
from tests.temporal_fixtures import World, eventually, media_process
from workflows.contracts import UNAVAILABLE_AFTER


async def _waits(world: World, conversation_id: ConversationId) -> list[RecordedEvent[Payload]]:
    events = await world.events(conversation_id)
    return [event for event in events if isinstance(event.payload, MediaUnavailable)]


def _why(event: RecordedEvent[Payload]) -> UnavailableReason:
    return cast(MediaUnavailable, event.payload).reason


async def test_a_second_conversation_waits_on_the_record_for_the_place_of_the_first(
    world: World, host: FakeMediaHost
) -> None:
    # Given one worker with one place, which a first conversation has
    host.places = 1
    async with workflow_worker(world.client, world.store), media_process(world.client, host, world.store):
        first = await world.start()
        taken = await world.live(host, first)

        # When there is a second conversation
        second = await world.start()
        await eventually(lambda: _waits(world, second))

        # Then it waits, and takes the place as soon as the first one ends
        assert (await world.status(second)).status is Status.REQUESTED
        assert host.session(second) is None
        host.hang_up(taken)
        session = await world.live(host, second)
        assert (await world.status(second)).status is Status.LIVE
        host.hang_up(session)
        await world.outcome(second)

    assert await world.types(second) == [
        "conversation.requested",
        "media.unavailable",
        "media.assigned",
        "media.connected",
        "conversation.started",
        "conversation.ended",
        "conversation.sealed",
    ]
    requested, waits, assigned, *_, sealed = await world.events(second)
    assert isinstance(waits.payload, MediaUnavailable)
    assert waits.payload.reason is UnavailableReason.ALL_WORKERS_FULL
    assert waits.payload.waited_ms >= 0
    assert (waits.session_epoch, assigned.session_epoch) == (1, 1)
    assert waits.causation_id == assigned.causation_id == requested.event_id
    assert (waits.actor.kind, waits.classification) == (ActorKind.WORKFLOW, Classification.PUBLIC)
    assert '"capture":"complete"' in sealed.payload.model_dump_json()
    assert await _waits(world, first) == []


async def test_without_any_worker_it_waits_for_the_first_one_that_comes(
    world: World, host: FakeMediaHost
) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(workflow_worker(world.client, world.store))
        conversation_id = await world.start()
        await eventually(lambda: _waits(world, conversation_id))
        await stack.enter_async_context(media_process(world.client, host, world.store))
        host.hang_up(await world.live(host, conversation_id))
        await world.outcome(conversation_id)

    [waits] = await _waits(world, conversation_id)
    assert _why(waits) is UnavailableReason.NO_WORKER


async def test_each_wait_of_a_conversation_is_recorded_once_under_its_epoch(
    running: World, host: FakeMediaHost
) -> None:
    host.places = 0
    conversation_id = await running.start()
    await eventually(lambda: _waits(running, conversation_id))
    host.places = 1
    session = await running.live(host, conversation_id)

    host.places = 0
    session.fail_with = StoreUnavailable("the worker lost its store")
    session.over.set()

    async def twice() -> bool:
        return len(await _waits(running, conversation_id)) == 2

    await eventually(twice)
    host.places = 1
    host.hang_up(await running.session(host, conversation_id, epoch=2))
    await running.outcome(conversation_id)
    events = await running.events(conversation_id)
    waits = await _waits(running, conversation_id)
    lost = next(event for event in events if event.payload.type == "media.lost")
    assert [each.session_epoch for each in waits] == [1, 2]
    assert [each.causation_id for each in waits] == [events[0].event_id, lost.event_id]


async def test_who_gives_up_waiting_ends_because_of_what_the_record_says(
    running: World, host: FakeMediaHost
) -> None:
    host.places = 0
    longer, shorter = await running.start(reassign_timeout=3), await running.start(reassign_timeout=1)

    for conversation_id in (longer, shorter):
        assert (await running.outcome(conversation_id)).end_reason is EndReason.NO_MEDIA_WORKER
        [waits] = await _waits(running, conversation_id)
        *_, ended, sealed = await running.events(conversation_id)
        assert ended.causation_id == waits.event_id
        assert '"capture":"complete"' in sealed.payload.model_dump_json()


async def test_who_ends_while_waiting_is_sealed_at_once_and_whole(
    running: World, host: FakeMediaHost
) -> None:
    host.places = 0
    conversation_id = await running.start(reassign_timeout=600)
    await eventually(lambda: _waits(running, conversation_id))

    await running.end(conversation_id)

    assert (await running.outcome(conversation_id)).end_reason is EndReason.REQUESTED
    assert '"capture":"complete"' in (await running.events(conversation_id))[-1].payload.model_dump_json()


def test_waiting_is_noticed_within_a_second() -> None:
    assert UNAVAILABLE_AFTER.total_seconds() <= 1


class _Log(StoreBehind):
    """The world's log, where appending media.unavailable meets what a test wants it to."""

    def __init__(self, store: EventStore) -> None:
        super().__init__(store)
        self.failures = 0
        self.overtaken_by: int | None = None

    async def append(
        self,
        tenant_id: TenantId,
        stream_id: StreamId,
        events: Sequence[NewEvent[Payload]],
        *,
        expected: Expected,
        epoch: int,
    ) -> Appended:
        if any(isinstance(event.payload, MediaUnavailable) for event in events):
            if self.failures:
                self.failures -= 1
                raise StoreUnavailable("Postgres did not answer")
            if self.overtaken_by is not None:
                later, self.overtaken_by = self.overtaken_by, None
                await self._store.append(tenant_id, stream_id, [said()], expected="any", epoch=later)
        return await super().append(tenant_id, stream_id, events, expected=expected, epoch=epoch)


@pytest.mark.slow
async def test_a_wait_that_could_not_be_stored_is_stored_later_and_before_the_assignment(
    world: World, host: FakeMediaHost
) -> None:
    # Given a log that fails for longer than one record is tried
    host.places, log = 0, _Log(world.store)
    log.failures = 6
    async with workflow_worker(world.client, log), media_process(world.client, host, world.store):
        conversation_id = await world.start()

        # When it is back
        await eventually(lambda: _waits(world, conversation_id))
        host.places = 1
        host.hang_up(await world.live(host, conversation_id))
        await world.outcome(conversation_id)

    # Then the wait stands once, and before the assignment
    types = await world.types(conversation_id)
    assert log.failures == 0
    assert types[:3] == ["conversation.requested", "media.unavailable", "media.assigned"]
    assert types.count("media.unavailable") == 1


async def test_a_session_whose_wait_is_refused_stops_asking_and_the_log_is_read_again(
    world: World, host: FakeMediaHost
) -> None:
    # Given an owner with a later epoch, who wrote in between
    host.places, log = 0, _Log(world.store)
    log.overtaken_by = 7
    async with workflow_worker(world.client, log), media_process(world.client, host, world.store):
        conversation_id = await world.start()

        # When the wait is recorded
        await eventually(lambda: _waits(world, conversation_id))
        host.places = 1
        session = await world.session(host, conversation_id, epoch=8)
        host.hang_up(session)
        await world.outcome(conversation_id)

    # Then it is that of a session with an epoch of its own
    [waits] = await _waits(world, conversation_id)
    assigned = [e for e in await world.events(conversation_id) if isinstance(e.payload, MediaAssigned)]
    assert [waits.session_epoch, *(each.session_epoch for each in assigned)] == [8, 8]
