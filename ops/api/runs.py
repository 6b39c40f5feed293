"""Workflows of conversations on Temporal."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import structlog
from temporalio.client import Client, RPCTimeoutOrCancelledError, WorkflowUpdateStage
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain.ids import ConversationId, TenantId
from ops.api.ports import WorkflowsUnavailable
from workflows.contracts import (
    CONVERSATION_WORKFLOW,
    UPDATE_END,
    WORKFLOW_QUEUE,
    WORKFLOW_TASK_TIMEOUT,
    ConversationInput,
    EndConversation,
)

START_S_MAX = 2.0
END_S_MAX = 4.0
READY_S_MAX = 2.0
# The bridge tells a connection that is refused at once by RuntimeError.
_AWAY = (RPCError, RPCTimeoutOrCancelledError, TimeoutError, RuntimeError)

log = structlog.stdlib.get_logger("vivavoce.api")


class TemporalRuns:
    """The `ConversationRuns` port."""

    def __init__(self, client: Client, *, continue_after_messages: int) -> None:
        self._client, self._continue_after_messages = client, continue_after_messages

    async def start(self, tenant_id: TenantId, conversation_id: ConversationId) -> None:
        # A request that is repeated long after its conversation was sealed begins nothing.
        await self._begin(tenant_id, conversation_id, WorkflowIDReusePolicy.REJECT_DUPLICATE)

    async def _begin(
        self, tenant_id: TenantId, conversation_id: ConversationId, reuse: WorkflowIDReusePolicy
    ) -> None:
        given = ConversationInput(
            tenant_id=tenant_id,
            conversation_id=conversation_id,
            continue_after_messages=self._continue_after_messages,
        )
        try:
            async with asyncio.timeout(START_S_MAX):
                await self._client.start_workflow(
                    CONVERSATION_WORKFLOW,
                    given,
                    id=str(conversation_id),
                    task_queue=WORKFLOW_QUEUE,
                    id_reuse_policy=reuse,
                    task_timeout=WORKFLOW_TASK_TIMEOUT,
                    rpc_timeout=timedelta(seconds=START_S_MAX),
                )
        except WorkflowAlreadyStartedError:
            return
        except _AWAY as error:
            raise WorkflowsUnavailable("Temporal did not start the workflow in time.") from error

    async def end(self, tenant_id: TenantId, conversation_id: ConversationId, *, asked_by: UUID) -> None:
        try:
            async with asyncio.timeout(END_S_MAX):
                await self._end_or_begin_to(tenant_id, conversation_id, asked_by)
        except _AWAY as error:
            raise WorkflowsUnavailable(
                "Temporal did not take the request in time; send it again in a moment."
            ) from error

    async def _end_or_begin_to(
        self, tenant_id: TenantId, conversation_id: ConversationId, asked_by: UUID
    ) -> None:
        command = EndConversation(command_id=uuid4(), asked_by=asked_by)
        try:
            await self._tell(conversation_id, command)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            # It never ran or it failed, and the sweep has not come by yet; or it was sealed just now, and a
            # workflow that finds its stream sealed returns at once.
            await self._begin(tenant_id, conversation_id, WorkflowIDReusePolicy.ALLOW_DUPLICATE)
            try:
                await self._tell(conversation_id, command)
            except RPCError as again:
                if again.status is not RPCStatusCode.NOT_FOUND:
                    raise
                log.info("conversation.was_over", conversation_id=str(conversation_id))

    async def _tell(self, conversation_id: ConversationId, command: EndConversation) -> None:
        await self._client.get_workflow_handle(str(conversation_id)).start_update(
            UPDATE_END,
            command,
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
            id=str(command.command_id),
            rpc_timeout=timedelta(seconds=END_S_MAX),
        )

    async def ready(self) -> bool:
        try:
            return await self._client.service_client.check_health(timeout=timedelta(seconds=READY_S_MAX))
        except _AWAY:
            return False
