"""The process that decides: workflows, their activities on the log, and the sweep."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.conversations import ConversationActivities
from activities.failures import CodesOnly
from activities.store.engine import create_engine
from activities.store.event_store import PostgresEventStore
from activities.sweep import Sweep, started_on, unsealed_in
from domain.errors import Unavailable
from domain.ports import EventStore
from ops.logs import quiet_loop_errors
from ops.processes.backing import backed
from ops.settings import Settings
from workflows.contracts import RELEASE, WORKFLOW_QUEUE
from workflows.conversation import ConversationWorkflow
from workflows.media_session import MediaSessionWorkflow

log = structlog.get_logger()

ACTIVITIES_AT_ONCE_MAX = 32
WORKFLOWS_CACHED_MAX = 500
# How long an append that has begun may go on after the order to stop.
STOP_GRACE = timedelta(seconds=5)
# A worker that was killed still has a queue of its own for the workflows in its memory; tasks in it wait so
# long before any other worker gets them. The default of ten seconds is longer than a call can do without.
STICKY_TIMEOUT = timedelta(seconds=2)
# Loaded once and shared by all workflows: none of them has a clock, randomness or state of its own.
PASSED_THROUGH = ("domain", "workflows.contracts", "pydantic", "pydantic_core", "annotated_types", "re2")


def workflow_runner() -> SandboxedWorkflowRunner:
    """How workflows run here; a replay of their histories must run them alike."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    )


def workflow_worker(client: Client, store: EventStore) -> Worker:
    """The Temporal worker on WORKFLOW_QUEUE."""
    return Worker(
        client,
        task_queue=WORKFLOW_QUEUE,
        workflows=[ConversationWorkflow, MediaSessionWorkflow],
        activities=ConversationActivities(store).all(),
        interceptors=[CodesOnly()],
        workflow_runner=workflow_runner(),
        max_concurrent_activities=ACTIVITIES_AT_ONCE_MAX,
        max_cached_workflows=WORKFLOWS_CACHED_MAX,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        graceful_shutdown_timeout=STOP_GRACE,
        # Histories say which release took each task. Every release replays the histories of the earlier ones
        # (tests/replay), so that a task may go to any of them.
        deployment_config=WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(deployment_name="vivavoce", build_id=RELEASE),
            use_worker_versioning=False,
        ),
    )


async def run(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT. Raises what `backed` raises."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    quiet_loop_errors(loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    engine = create_engine(settings.database_url.get_secret_value(), application_name="vivavoce workflows")
    try:
        client = await backed(settings, engine, stop)
        if client is not None:
            await serve(client, engine, settings, stop)
    finally:
        await engine.dispose()


async def serve(client: Client, engine: AsyncEngine, settings: Settings, stop: asyncio.Event) -> None:
    """Until `stop` is set."""
    ensure = started_on(client, continue_after_messages=settings.continue_as_new_messages)
    sweep = Sweep(unsealed_in(engine), ensure)
    async with workflow_worker(client, PostgresEventStore(engine)):
        log.info("workflows.ready", queue=WORKFLOW_QUEUE)
        async with asyncio.TaskGroup() as tasks:
            sweeping = tasks.create_task(sweep_forever(sweep, interval_s=settings.sweep_interval_s))
            await stop.wait()
            sweeping.cancel()
    log.info("workflows.stopped")


async def sweep_forever(sweep: Sweep, *, interval_s: float) -> None:
    """At once, and then at each interval."""
    while True:
        try:
            swept = await sweep.once()
        except Unavailable as error:
            log.warning("sweep.postponed", code=error.code)
        else:
            log.info("sweep.done", open=swept.open, started=swept.started)
        await asyncio.sleep(interval_s)
