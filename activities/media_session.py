"""A media worker as Temporal sees it: claims from a queue that all share, sessions on a queue of its own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from activities.conversations import ConversationNotFound, read_all
from activities.fact_publisher import ConversationGone, FactPublisher
from activities.failures import CodesOnly
from domain.conversation.occurrences import (
    DrainReport,
    SessionOutcome,
)
from domain.conversation.state import Conversation, fold
from domain.errors import Unavailable, VivavoceError
from domain.events.catalogue import MediaAssigned
from domain.events.envelope import Actor, ActorKind, NewEvent
from domain.events.payload import Payload
from domain.ids import ConversationId, TenantId, conversation_stream
from domain.ports import SESSION_DRAIN_S_MAX, Drain, Drained, EventStore, MediaHost, SessionSpec
from workflows.contracts import (
    MEDIA_QUEUE,
    NO_VACANCY,
    RELEASE,
    SIGNAL_FACTS,
    AppendAssigned,
    ClaimMediaWorker,
    MediaClaim,
    MediaFacts,
    MediaSessionResult,
    RunMediaSession,
    Stored,
)

# Well below the heartbeat timeout; also how soon a session hears that it is to drain.
HEARTBEAT_S = 0.5
# For facts that have not been delivered when the session ends.
FLUSH_S = 0.5
RPC_TIMEOUT = timedelta(seconds=2)
# Claims are quick; more at once than this only wait on each other.
CLAIMS_AT_ONCE_MAX = 4


class SessionNotDrained(Unavailable):
    """The session was told to drain and had not written everything when its time was up."""

    code = "session_not_drained"


class ConversationReceiver:
    """The conversation's workflow on a Temporal server."""

    def __init__(self, client: Client, conversation_id: ConversationId) -> None:
        # Without a run id the handle follows the workflow when it continues as new.
        self._handle = client.get_workflow_handle(str(conversation_id))

    async def deliver(self, batch: MediaFacts) -> None:
        try:
            await self._handle.signal(SIGNAL_FACTS, batch, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            raise _meaning(error) from None

    async def check(self) -> None:
        try:
            described = await self._handle.describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            raise _meaning(error) from None
        if described.status is not WorkflowExecutionStatus.RUNNING:
            raise ConversationGone


def _meaning(error: RPCError) -> Exception:
    return (
        ConversationGone() if error.status is RPCStatusCode.NOT_FOUND else Unavailable("temporal_unanswered")
    )


class MediaSessionActivities:
    """`task_queue` is this process's own, new at each boot, so that work for a dead process finds nobody."""

    def __init__(self, host: MediaHost, store: EventStore, client: Client, *, task_queue: str) -> None:
        self._host, self._store, self._client, self._task_queue = host, store, client, task_queue

    def shared(self) -> list[Callable[..., Any]]:
        """For the worker on MEDIA_QUEUE."""
        return [self.claim_media_worker]

    def own(self) -> list[Callable[..., Any]]:
        """For the worker on this process's own queue."""
        return [self.append_media_assigned, self.run_media_session]

    @activity.defn
    async def claim_media_worker(self, request: ClaimMediaWorker) -> MediaClaim:
        if not self._host.claim(request.conversation_id):
            raise ApplicationError(NO_VACANCY, type=NO_VACANCY)
        return MediaClaim(worker_id=self._host.worker_id, task_queue=self._task_queue)

    @activity.defn
    async def append_media_assigned(self, request: AppendAssigned) -> Stored:
        event: NewEvent[Payload] = NewEvent(
            event_id=request.event_id,
            occurred_at=request.occurred_at,
            actor=Actor(kind=ActorKind.WORKFLOW, id=str(request.conversation_id)),
            payload=MediaAssigned(worker_id=self._host.worker_id, address=self._host.address),
            causation_id=request.cause,
        )
        stream = conversation_stream(request.conversation_id)
        appended = await self._store.append(
            request.tenant_id, stream, [event], expected="any", epoch=request.epoch
        )
        return Stored(version=appended.last_version)

    @activity.defn
    async def run_media_session(self, request: RunMediaSession) -> MediaSessionResult:
        """Drains when it is cancelled, when the worker shuts down, or when its conversation is gone.
        Cancelled a second time, or not drained in time, it silences the session at once."""
        drain = Drain()
        publisher = FactPublisher(
            ConversationReceiver(self._client, request.conversation_id),
            epoch=request.epoch,
            publisher=uuid.uuid4(),
            on_gone=drain.set,
        )
        async with asyncio.TaskGroup() as tasks:
            helpers = [tasks.create_task(_beat()), tasks.create_task(_drain_at_shutdown(drain))]
            sender = tasks.create_task(publisher.run())
            try:
                session = tasks.create_task(self._carry(request, drain, publisher))
                drained = await _until_done(session, drain)
                await publisher.flush(FLUSH_S)
            finally:
                for helper in (*helpers, sender):
                    helper.cancel()
            await asyncio.wait({sender})
        if isinstance(drained, VivavoceError):
            raise drained
        return MediaSessionResult(
            outcome=SessionOutcome.RETIRED if activity.is_worker_shutdown() else SessionOutcome.DRAINED,
            report=DrainReport(last_version=drained.last_version, gaps=drained.gaps),
            undelivered=publisher.undelivered(),
        )

    async def _carry(
        self, request: RunMediaSession, drain: Drain, publisher: FactPublisher
    ) -> Drained | VivavoceError:
        """An error that is ours is a result here, so that the task group leaves it whole."""
        try:
            spec = SessionSpec(
                tenant_id=request.tenant_id,
                conversation_id=request.conversation_id,
                epoch=request.epoch,
                state=await self._state(request.tenant_id, request.conversation_id),
            )
            return await self._host.run(spec, drain=drain, report=publisher.report)
        except VivavoceError as error:
            return error

    async def _state(self, tenant_id: TenantId, conversation_id: ConversationId) -> Conversation:
        stream = conversation_stream(conversation_id)
        state = Conversation()
        async for event in read_all(self._store, tenant_id, stream):
            state = fold([event], state)
        if state.requested is None:
            raise ConversationNotFound(f"{stream} holds no requested conversation")
        return state


async def _until_done(
    session: asyncio.Task[Drained | VivavoceError], drain: Drain
) -> Drained | VivavoceError:
    """Waits for the session; the first cancellation is the order to drain, the second one silences it."""
    try:
        await _first_of(session, drain)
    except asyncio.CancelledError:
        _this_task().uncancel()
        if _is_given_up():
            drain.hand_over()
        else:
            drain.set()
    try:
        # `wait` leaves the session running when this activity is cancelled meanwhile.
        await asyncio.wait({session}, timeout=SESSION_DRAIN_S_MAX)
    finally:
        if not session.done():
            session.cancel()
    if session.done():
        return session.result()
    await asyncio.wait({session})
    return SessionNotDrained("the session had not written everything when its time to drain was up")


def _is_given_up() -> bool:
    """Temporal knows this attempt no more, as after an outage longer than its heartbeat timeout: nobody has
    asked for an end, and the conversation's workflow has another session begun."""
    details = activity.cancellation_details()
    return details is not None and details.not_found


async def _first_of(session: asyncio.Task[Drained | VivavoceError], drain: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as tasks:
        ordered = tasks.create_task(drain.wait())
        await asyncio.wait({session, ordered}, return_when=asyncio.FIRST_COMPLETED)
        ordered.cancel()


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None, "an activity runs in a task"
    return task


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(HEARTBEAT_S)


async def _drain_at_shutdown(drain: asyncio.Event) -> None:
    await activity.wait_for_worker_shutdown()
    drain.set()


def media_workers(
    client: Client, activities: MediaSessionActivities, *, task_queue: str, sessions_max: int
) -> tuple[Worker, Worker]:
    """The two Temporal workers of a media process: for claims, and for its own sessions. Leave the first one
    before the second, so that a process that stops is claimed no more while it drains."""
    claims = Worker(
        client,
        task_queue=MEDIA_QUEUE,
        activities=activities.shared(),
        max_concurrent_activities=CLAIMS_AT_ONCE_MAX,
        # By default it is a digest of every module that is loaded, torch and all: seconds of computing.
        build_id=RELEASE,
        interceptors=[CodesOnly()],
    )
    sessions = Worker(
        client,
        task_queue=task_queue,
        activities=activities.own(),
        build_id=RELEASE,
        # Each session may have its assignment's append beside it.
        max_concurrent_activities=2 * sessions_max,
        # Core holds heartbeats back by default; the answer to one is what brings the order to drain.
        max_heartbeat_throttle_interval=timedelta(seconds=HEARTBEAT_S),
        default_heartbeat_throttle_interval=timedelta(seconds=HEARTBEAT_S),
        graceful_shutdown_timeout=timedelta(seconds=SESSION_DRAIN_S_MAX + FLUSH_S),
        interceptors=[CodesOnly()],
    )
    return claims, sessions
