"""The repair between two stores: a conversation whose record is open must have a workflow that runs.

A crash between the request and the start of its workflow, or a Temporal that lost its history, leaves an open
stream that nobody attends to. The workflow that is started here reads where it stands from the log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.store.failures import store_failures
from domain.errors import Unavailable
from domain.ids import ConversationId, StreamId, TenantId
from workflows.contracts import (
    CONVERSATION_WORKFLOW,
    WORKFLOW_QUEUE,
    WORKFLOW_TASK_TIMEOUT,
    ConversationInput,
)

log = structlog.get_logger()

# Streams read and looked after at a time; the next page follows in the same sweep.
SWEEP_PAGE_MAX = 100
# Pages of one sweep. What lies beyond is reached by the next one, which goes on where this one stopped.
SWEEP_PAGES_MAX = 50
RPC_TIMEOUT = timedelta(seconds=5)

_PREFIX = "conversation-"
_UNSEALED = text(
    "select tenant_id, stream_id, created_at"
    " from public.unsealed_conversations(:after, :after_stream, :limit)"
)


@dataclass(frozen=True, slots=True)
class Unsealed:
    tenant_id: TenantId
    stream_id: StreamId
    created_at: datetime

    @property
    def conversation_id(self) -> ConversationId:
        return ConversationId(UUID(self.stream_id.removeprefix(_PREFIX)))


@dataclass(frozen=True, slots=True)
class Swept:
    """How many open streams were looked at, and for how many a workflow was started."""

    open: int
    started: int


# A page of open streams after a place, oldest first; None is the beginning.
ReadUnsealed = Callable[[Unsealed | None, int], Awaitable[list[Unsealed]]]


def unsealed_in(engine: AsyncEngine) -> ReadUnsealed:
    """Over all tenants, through the one function that may look across them; it tells ids and times only."""

    async def read(after: Unsealed | None, limit: int) -> list[Unsealed]:
        place = {
            "after": None if after is None else after.created_at,
            "after_stream": None if after is None else after.stream_id,
            "limit": limit,
        }
        with store_failures():
            async with engine.connect() as connection:
                rows = (await connection.execute(_UNSEALED, place)).all()
        return [Unsealed(row.tenant_id, StreamId(row.stream_id), row.created_at) for row in rows]

    return read


# Starts the workflow of an open stream; False when it runs already.
EnsureRunning = Callable[[Unsealed], Awaitable[bool]]


def started_on(client: Client, *, continue_after_messages: int) -> EnsureRunning:
    async def ensure(unsealed: Unsealed) -> bool:
        given = ConversationInput(
            tenant_id=unsealed.tenant_id,
            conversation_id=unsealed.conversation_id,
            continue_after_messages=continue_after_messages,
        )
        try:
            await client.start_workflow(
                CONVERSATION_WORKFLOW,
                given,
                id=str(unsealed.conversation_id),
                task_queue=WORKFLOW_QUEUE,
                # One that failed or was terminated has left its record open: it is begun again.
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                task_timeout=WORKFLOW_TASK_TIMEOUT,
                rpc_timeout=RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return False
        except RPCError as error:
            raise Unavailable("Temporal did not start a workflow in time") from error
        log.info("sweep.workflow_started", conversation_id=str(unsealed.conversation_id))
        return True

    return ensure


class Sweep:
    """Call `once` at the start of a process and then at each interval. Several sweeps at once are harmless:
    a workflow's id is its conversation's, and the server runs one at a time."""

    def __init__(self, read: ReadUnsealed, ensure: EnsureRunning) -> None:
        self._read, self._ensure = read, ensure
        self._place: Unsealed | None = None

    async def once(self) -> Swept:
        """At most SWEEP_PAGES_MAX pages. Raises StoreUnavailable or Unavailable; the next sweep goes on with
        the page that failed."""
        looked_at, started = 0, 0
        for _ in range(SWEEP_PAGES_MAX):
            page = await self._read(self._place, SWEEP_PAGE_MAX)
            for unsealed in page:
                started += await self._ensure(unsealed)
            looked_at += len(page)
            self._place = page[-1] if len(page) == SWEEP_PAGE_MAX else None
            if self._place is None:
                break
        return Swept(open=looked_at, started=started)
