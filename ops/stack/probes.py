"""How the supervisor sees that a process is ready. Apart from the plan, since what they load takes a second:
they are first used when every process has been started."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from http import HTTPStatus

import httpx
from sqlalchemy.exc import DBAPIError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from activities.store.engine import create_engine
from activities.store.sequencer import has_leader
from domain.errors import StoreUnavailable
from ops.devstack.temporal import NAMESPACE
from workflows.contracts import WORKFLOW_QUEUE

PROBE_TIMEOUT_S = 1.5


async def answers_ok(url: str) -> bool:
    # Plain HTTP: making a TLS context takes longer than the whole request.
    async with httpx.AsyncClient(timeout=PROBE_TIMEOUT_S, trust_env=False, verify=False) as client:  # noqa: S501
        try:
            return (await client.get(url)).status_code == HTTPStatus.OK
        except httpx.HTTPError:
            return False


async def has_poller(address: str) -> bool:
    """Whether a process asks Temporal for workflow tasks."""
    request = DescribeTaskQueueRequest(
        namespace=NAMESPACE,
        task_queue=TaskQueue(name=WORKFLOW_QUEUE),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            client = await Client.connect(address)
            answer = await client.workflow_service.describe_task_queue(
                request, timeout=timedelta(seconds=PROBE_TIMEOUT_S)
            )
    except (RPCError, RuntimeError, TimeoutError):
        return False
    return len(answer.pollers) > 0


async def some_sequencer_leads(url: str) -> bool:
    """Whether events get their places. `url` is the sequencer role's address."""
    engine = create_engine(url, application_name="vivavoce up", connections_max=1)
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            return await has_leader(engine)
    except (StoreUnavailable, DBAPIError, TimeoutError):
        # Not there, or not prepared yet.
        return False
    finally:
        await engine.dispose()
