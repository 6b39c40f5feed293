"""Two stores, one repair: what the log says is open gets a workflow, whatever Temporal knows of it."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.sweep import Sweep, Unsealed, started_on, unsealed_in
from domain.conversation.occurrences import (
    SessionOutcome,
)
from domain.conversation.state import Status
from domain.events.catalogue import ConversationSealed, EndReason, MediaLost
from domain.ids import ConversationId, TenantId
from domain.ports import EventStore
from ops.devstack.temporal import TemporalServer
from ops.processes.workflow_worker import workflow_worker
from tests.fakes.media_host import FakeMediaHost, FakeSession
from tests.temporal_fixtures import World, connect, eventually, media_process
from workflows.contracts import MediaSessionEnded


def _sweep(world: World, engine: AsyncEngine) -> Sweep:
    """Over this test's conversations: other tests have left open ones in the same database."""
    everything = unsealed_in(engine)

    async def mine(after: Unsealed | None, limit: int) -> list[Unsealed]:
        found: list[Unsealed] = []
        while page := await everything(after, limit):
            found += [one for one in page if one.tenant_id == world.tenant_id]
            after = page[-1]
        return found

    return Sweep(mine, started_on(world.client, continue_after_messages=1000))


async def test_a_request_whose_workflow_was_never_started_is_taken_up(
    running: World, host: FakeMediaHost, engine: AsyncEngine
) -> None:
    conversation_id = await running.request()
    sweep = _sweep(running, engine)

    first = await sweep.once()
    second = await sweep.once()

    assert (first.open, first.started) == (1, 1)
    assert (second.open, second.started) == (1, 0)
    host.hang_up(await running.live(host, conversation_id))
    assert (await running.outcome(conversation_id)).status is Status.SEALED
    assert (await sweep.once()).open == 0


async def test_a_workflow_that_was_terminated_is_begun_again_from_the_log(
    running: World, host: FakeMediaHost, engine: AsyncEngine
) -> None:
    conversation_id = await running.start()
    lost = await running.live(host, conversation_id)
    await running.client.get_workflow_handle(str(conversation_id)).terminate()

    assert (await _sweep(running, engine).once()).started == 1
    found = await running.session(host, conversation_id, epoch=2)

    await host.connect(found)
    host.hang_up(found)
    await running.outcome(conversation_id)
    events = await running.events(conversation_id)
    assert [event.payload.type for event in events].count("conversation.started") == 1
    seal = events[-1].payload
    assert isinstance(seal, ConversationSealed)
    assert seal.gaps == ("session_lost:1",)
    assert lost.over.is_set()


@pytest.mark.slow
async def test_a_session_whose_conversation_is_gone_ends_itself(running: World, host: FakeMediaHost) -> None:
    conversation_id = await running.start()
    session = await running.live(host, conversation_id)

    await running.client.get_workflow_handle(str(conversation_id)).terminate()

    # It asks now and then, since it has nothing to say.
    await asyncio.wait_for(session.over.wait(), 20)
    child = running.client.get_workflow_handle(f"{conversation_id}-media-1", result_type=MediaSessionEnded)
    ended = await asyncio.wait_for(child.result(), 10)
    assert ended.outcome is SessionOutcome.DRAINED


async def test_an_empty_temporal_beside_a_full_log_loses_nothing(
    event_store: EventStore, engine: AsyncEngine, tenant_id: TenantId
) -> None:
    host = FakeMediaHost(event_store, places=8)
    with tempfile.TemporaryDirectory() as folder:
        before = await TemporalServer.start(Path(folder) / "before")
        world = World(await connect(before.address), event_store, tenant_id)
        async with workflow_worker(world.client, event_store), media_process(world.client, host, event_store):
            live = await world.start()
            await world.live(host, live)
            waiting = await world.start()
            await world.session(host, waiting)
        await before.stop()

        after = await TemporalServer.start(Path(folder) / "after")
        world.client = await connect(after.address)
        async with workflow_worker(world.client, event_store), media_process(world.client, host, event_store):
            swept = await _sweep(world, engine).once()
            outcomes = [await _finish(world, host, each) for each in (live, waiting)]
        await world.leave()
        await after.stop()

    assert (swept.open, swept.started) == (2, 2)
    assert outcomes == [EndReason.PARTICIPANT_HUNG_UP] * 2
    lost = [e.payload for e in await world.events(live) if isinstance(e.payload, MediaLost)]
    assert lost[-1].reason == "workflow_restarted"
    assert (await world.types(live)).count("conversation.started") == 1


async def _finish(world: World, host: FakeMediaHost, conversation_id: ConversationId) -> EndReason | None:
    def running() -> FakeSession | None:
        session = host.session(conversation_id)
        return session if session is not None and not session.over.is_set() else None

    await eventually(running)
    session = running()
    assert session is not None
    await host.connect(session)
    host.hang_up(session)
    return (await world.outcome(conversation_id)).end_reason
