"""Processes that end without a word, in the middle of a call."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from domain.events.catalogue import EndReason, MediaAssigned, MediaLost
from domain.ports import Fact, FactKind
from ops.bootstrap import Addresses
from ops.devstack.temporal import TemporalServer
from ops.processes.workflow_worker import workflow_worker
from tests.fakes.media_host import FakeMediaHost
from tests.temporal_fixtures import World, eventually, media_process, process_environment, spawn

WORKFLOW_PROCESS = "tests.integration.workflows.workflow_worker_process"
MEDIA_PROCESS = "tests.integration.workflows.media_worker_process"


async def test_a_call_goes_on_when_the_workflow_process_is_killed_and_started_again(
    world: World,
    host: FakeMediaHost,
    addresses: Addresses,
    temporal_server: TemporalServer,
    tmp_path: Path,
) -> None:
    environment = process_environment(
        database_url=addresses.app_url,
        temporal_address=temporal_server.address,
        folder=tmp_path,
        sweep_interval_s=60,
    )
    first = await spawn(WORKFLOW_PROCESS, environment)
    second = None
    try:
        async with media_process(world.client, host, world.store):
            conversation_id = await world.start(participant_left_timeout=600)
            session = await world.live(host, conversation_id)
            first.kill()
            await first.wait()
            # What happens meanwhile waits on the server.
            session.report(Fact(FactKind.PARTICIPANT_DISCONNECTED))
            session.report(Fact(FactKind.PARTICIPANT_CONNECTED))
            session.report(Fact(FactKind.ACTIVITY))
            second = await spawn(WORKFLOW_PROCESS, environment)
            host.hang_up(session)
            outcome = await world.outcome(conversation_id)
            second.terminate()
            assert await asyncio.wait_for(second.wait(), 15) == 0
    finally:
        for process in (first, second):
            if process is not None:
                with suppress(ProcessLookupError):
                    process.kill()

    assert outcome.end_reason is EndReason.PARTICIPANT_HUNG_UP
    assert len(host.sessions) == 1
    assert await world.types(conversation_id) == [
        "conversation.requested",
        "media.assigned",
        "media.connected",
        "conversation.started",
        "conversation.ended",
        "conversation.sealed",
    ]


async def test_a_lost_media_process_is_replaced_within_five_seconds(
    world: World,
    host: FakeMediaHost,
    addresses: Addresses,
    temporal_server: TemporalServer,
    tmp_path: Path,
) -> None:
    worker_id = uuid4()
    environment = process_environment(
        database_url=addresses.app_url, temporal_address=temporal_server.address, folder=tmp_path
    )
    environment["TEST_WORKER_ID"] = str(worker_id)
    lost = await spawn(MEDIA_PROCESS, environment)
    try:
        async with workflow_worker(world.client, world.store):
            conversation_id = await world.start()

            async def live() -> bool:
                return "conversation.started" in await world.types(conversation_id)

            await eventually(live)
            async with media_process(world.client, host, world.store):
                killed_at, began = datetime.now(UTC), time.monotonic()
                lost.kill()
                session = await world.session(host, conversation_id, epoch=2)
                took_s = time.monotonic() - began
                await host.connect(session)
                host.hang_up(session)
                await world.outcome(conversation_id)
    finally:
        with suppress(ProcessLookupError):
            lost.kill()

    assert took_s < 5
    events = await world.events(conversation_id)
    gone = next(event for event in events if isinstance(event.payload, MediaLost))
    assert isinstance(gone.payload, MediaLost)
    assert (gone.payload.worker_id, gone.payload.reason) == (worker_id, "heartbeat_timeout")
    assert gone.recorded_at > killed_at
    assigned = [event for event in events if isinstance(event.payload, MediaAssigned)]
    assert [event.session_epoch for event in assigned] == [1, 2]
    assert assigned[1].causation_id == gone.event_id
    assert gone.causation_id == assigned[0].event_id


async def test_a_media_process_that_stops_hands_its_calls_over_at_once(world: World) -> None:
    retiring = FakeMediaHost(world.store)
    staying = FakeMediaHost(world.store)
    async with workflow_worker(world.client, world.store):
        async with media_process(world.client, retiring, world.store):
            conversation_id = await world.start()
            await world.live(retiring, conversation_id)
        async with media_process(world.client, staying, world.store):
            session = await world.session(staying, conversation_id, epoch=2)
            await staying.connect(session)
            staying.hang_up(session)
            await world.outcome(conversation_id)

    events = await world.events(conversation_id)
    lost = [event.payload for event in events if isinstance(event.payload, MediaLost)]
    assert [each.reason for each in lost] == ["worker_stopped"]
    assert retiring.sessions[0].drained
    # Everything was written, so that nothing is missing from the record.
    assert "complete" in str(events[-1].payload)
