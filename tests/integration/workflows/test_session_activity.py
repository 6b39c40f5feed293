"""The activity that carries a session: its cancellation, the end of its worker, a server that is away."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.media_session import FLUSH_S, MediaSessionActivities, SessionNotDrained
from domain.conversation.lifecycle import DRAIN_TIMEOUT_S
from domain.conversation.occurrences import DrainReport, SessionOutcome
from domain.errors import StaleEpoch
from domain.events.catalogue import EndReason
from domain.ids import ConversationId, conversation_stream
from domain.ports import SESSION_DRAIN_S_MAX, Fact, FactKind
from ops.devstack.temporal import TemporalServer
from tests.fakes.media_host import FakeMediaHost, FakeSession
from tests.temporal_fixtures import World, connect
from workflows.contracts import (
    NO_VACANCY,
    SIGNAL_ENDED,
    ClaimMediaWorker,
    MediaFacts,
    MediaSessionEnded,
    MediaSessionResult,
    RunMediaSession,
)


class Run:
    """One attempt of the activity, outside any worker."""

    def __init__(self, world: World, host: FakeMediaHost, client: Client | None = None) -> None:
        self.environment = ActivityEnvironment()
        self._world, self._host = world, host
        self._activities = MediaSessionActivities(
            host, world.store, client or world.client, task_queue="unused"
        )

    async def begin(self, tasks: asyncio.TaskGroup) -> tuple[asyncio.Task[MediaSessionResult], FakeSession]:
        conversation_id = await self._world.request()
        request = RunMediaSession(tenant_id=self._world.tenant_id, conversation_id=conversation_id, epoch=1)
        running = tasks.create_task(self.environment.run(self._activities.run_media_session, request))
        return running, await self._world.session(self._host, conversation_id)


@pytest.fixture
async def unreachable(tmp_path: Path) -> Client:
    """Of a server that was there once."""
    server = await TemporalServer.start(tmp_path)
    client = await connect(server.address)
    await server.stop()
    return client


async def test_the_first_cancellation_drains_and_the_result_still_comes(
    world: World, host: FakeMediaHost, unreachable: Client
) -> None:
    run = Run(world, host, unreachable)
    async with asyncio.TaskGroup() as tasks:
        running, session = await run.begin(tasks)
        run.environment.cancel()

    assert session.drained
    assert running.result().outcome is SessionOutcome.DRAINED
    assert running.result().report == DrainReport(last_version=1)


@pytest.mark.parametrize(
    ("details", "handed_over"),
    [
        (ActivityCancellationDetails(cancel_requested=True), False),
        (ActivityCancellationDetails(not_found=True), True),
    ],
)
async def test_a_session_that_temporal_knows_no_more_is_handed_over(
    world: World,
    host: FakeMediaHost,
    unreachable: Client,
    details: ActivityCancellationDetails,
    handed_over: bool,
) -> None:
    run = Run(world, host, unreachable)
    async with asyncio.TaskGroup() as tasks:
        _, session = await run.begin(tasks)
        run.environment.cancel(details)

    assert session.drained
    assert session.drain.handed_over is handed_over


async def test_a_worker_that_stops_drains_and_says_why(
    world: World, host: FakeMediaHost, unreachable: Client
) -> None:
    run = Run(world, host, unreachable)
    async with asyncio.TaskGroup() as tasks:
        running, session = await run.begin(tasks)
        run.environment.worker_shutdown()

    assert session.drained
    assert running.result().outcome is SessionOutcome.RETIRED


async def test_a_session_that_does_not_drain_in_its_time_is_silenced(
    world: World, host: FakeMediaHost, unreachable: Client
) -> None:
    host.stuck = True
    run = Run(world, host, unreachable)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.TaskGroup() as tasks:
            running, session = await run.begin(tasks)
            began = loop.time()
            run.environment.cancel()
    except* SessionNotDrained:
        pass

    assert isinstance(running.exception(), SessionNotDrained)
    assert session.silenced
    assert SESSION_DRAIN_S_MAX <= loop.time() - began < SESSION_DRAIN_S_MAX + 2


def test_the_workflow_waits_longer_than_a_session_may_take_to_drain() -> None:
    # A second is for the order, which comes with a heartbeat, and for the result's way back.
    assert SESSION_DRAIN_S_MAX + FLUSH_S + 1 <= DRAIN_TIMEOUT_S


async def test_a_session_that_the_log_refuses_fails_with_that_error(
    world: World, host: FakeMediaHost, unreachable: Client
) -> None:
    run = Run(world, host, unreachable)
    try:
        async with asyncio.TaskGroup() as tasks:
            running, session = await run.begin(tasks)
            stream = conversation_stream(session.spec.conversation_id)
            session.fail_with = StaleEpoch(stream, epoch=1, current=2)
            session.over.set()
    except* StaleEpoch:
        pass

    assert isinstance(running.exception(), StaleEpoch)


async def test_facts_that_could_not_be_delivered_come_with_the_result(
    world: World, host: FakeMediaHost, unreachable: Client
) -> None:
    run = Run(world, host, unreachable)
    async with asyncio.TaskGroup() as tasks:
        running, session = await run.begin(tasks)
        host.hang_up(session)

    (batch,) = running.result().undelivered
    assert batch.facts == (Fact(FactKind.END_WANTED, EndReason.PARTICIPANT_HUNG_UP),)


async def test_facts_that_come_with_the_end_count_before_it(running: World, host: FakeMediaHost) -> None:
    conversation_id = await running.start()
    await running.live(host, conversation_id)
    wish = MediaFacts(
        epoch=1,
        publisher=uuid4(),
        sequence=1,
        facts=(Fact(FactKind.END_WANTED, EndReason.GUARDRAIL),),
    )

    await running.handle(conversation_id).signal(
        SIGNAL_ENDED,
        MediaSessionEnded(
            epoch=1,
            outcome=SessionOutcome.DRAINED,
            report=DrainReport(last_version=4),
            undelivered=(wish,),
        ),
    )

    assert (await running.outcome(conversation_id)).end_reason is EndReason.GUARDRAIL


async def test_a_worker_without_a_place_says_so_by_a_code(world: World, host: FakeMediaHost) -> None:
    host.places = 0
    activities = MediaSessionActivities(host, world.store, world.client, task_queue="unused")

    with pytest.raises(ApplicationError) as caught:
        await activities.claim_media_worker(ClaimMediaWorker(conversation_id=ConversationId(uuid4())))

    assert (caught.value.type, caught.value.non_retryable) == (NO_VACANCY, False)
