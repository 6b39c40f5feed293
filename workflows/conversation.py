"""The conversation as a durable workflow: a thin shell around `domain.conversation.lifecycle`.

Handlers decide at once and only note what is to be done; the one loop does it, in order. So no message waits
for an activity, and continue-as-new finds nothing half done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar, assert_never

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from domain.conversation.actions import (
        Action,
        DrainSession,
        RecordLost,
        RecordStarted,
        Reload,
        Seal,
        StartSession,
    )
    from domain.conversation.lifecycle import (
        COMMANDED_REASONS,
        Lifecycle,
        begin,
        decide,
        next_deadline,
    )
    from domain.conversation.occurrences import (
        DrainOrdered,
        EndCommanded,
        FactsReported,
        Occurrence,
        SealStored,
        SessionAssigned,
        SessionEnded,
        SessionOutcome,
        TimePassed,
    )
    from domain.ids import EventId
    from workflows.contracts import (
        APPEND_ATTEMPT_TIMEOUT,
        APPEND_RETRY,
        APPEND_TIMEOUT,
        CONVERSATION_WORKFLOW,
        QUERY_STATUS,
        SEAL_ATTEMPT_TIMEOUT,
        SEAL_TIMEOUT,
        SESSION_SLACK,
        SIGNAL_ASSIGNED,
        SIGNAL_DRAIN,
        SIGNAL_ENDED,
        SIGNAL_FACTS,
        UPDATE_END,
        WORKFLOW_TASK_TIMEOUT,
        AppendLost,
        AppendStarted,
        ConversationInput,
        ConversationOutcome,
        ConversationStatus,
        EndConversation,
        LoadConversation,
        MediaFacts,
        MediaSessionAssigned,
        MediaSessionEnded,
        MediaSessionInput,
        SealConversation,
        Stored,
        append_media_lost,
        append_started,
        load_conversation,
        seal_conversation,
    )
    from workflows.media_session import REFUSALS, MediaSessionWorkflow

Request = TypeVar("Request")


def media_session_id(conversation_id: object, epoch: int) -> str:
    return f"{conversation_id}-media-{epoch}"


@workflow.defn(name=CONVERSATION_WORKFLOW)
class ConversationWorkflow:
    @workflow.init
    def __init__(self, given: ConversationInput) -> None:
        self._given = given
        self._state: Lifecycle | None = given.carried
        self._pending: list[Action] = []
        self._messages = 0
        self._lost_event_id: EventId | None = None

    @workflow.run
    async def run(self, given: ConversationInput) -> ConversationOutcome:
        if self._state is None:
            await self._load()
        while True:
            while self._pending:
                await self._perform(self._pending.pop(0))
            state = self._known()
            if state.sealed:
                await workflow.wait_condition(workflow.all_handlers_finished)
                return ConversationOutcome(
                    status=state.status, end_reason=state.end_reason, epoch=state.epoch
                )
            if self._is_long():
                await workflow.wait_condition(workflow.all_handlers_finished)
                # A handler that finished just now may have left something to do.
                if not self._pending:
                    workflow.continue_as_new(given.model_copy(update={"carried": self._known()}))
                continue
            await self._wait(next_deadline(state))
            self._note(TimePassed())

    # --- messages ---------------------------------------------------------------------------------
    @workflow.signal(name=SIGNAL_FACTS)
    def media_facts(self, batch: MediaFacts) -> None:
        self._messages += 1
        self._note(FactsReported(batch.epoch, batch.publisher, batch.sequence, batch.facts))

    @workflow.signal(name=SIGNAL_ASSIGNED)
    def media_session_assigned(self, assigned: MediaSessionAssigned) -> None:
        self._messages += 1
        self._note(SessionAssigned(assigned.epoch, assigned.worker_id, assigned.event_id))

    @workflow.signal(name=SIGNAL_ENDED)
    def media_session_ended(self, ended: MediaSessionEnded) -> None:
        self._messages += 1
        for batch in ended.undelivered:
            self._note(FactsReported(batch.epoch, batch.publisher, batch.sequence, batch.facts))
        self._note(SessionEnded(ended.epoch, ended.outcome, ended.report))

    @workflow.update(name=UPDATE_END)
    async def end_conversation(self, command: EndConversation) -> ConversationStatus:
        """Begins the end and answers at once; the seal follows."""
        self._messages += 1
        await workflow.wait_condition(lambda: self._state is not None)
        self._note(EndCommanded(command.command_id, command.reason, command.asked_by))
        return self.status()

    @end_conversation.validator
    def _end_is_valid(self, command: EndConversation) -> None:
        if command.reason not in COMMANDED_REASONS:
            raise ApplicationError("this reason is the workflow's own to find", type="invalid_input")

    @workflow.query(name=QUERY_STATUS)
    def status(self) -> ConversationStatus:
        state = self._state
        if state is None:
            raise ApplicationError("the log is being read", type="unavailable")
        return ConversationStatus(
            status=state.status,
            epoch=state.epoch,
            connected=state.connected,
            end_reason=state.end_reason,
            media_sessions=state.sessions_started,
        )

    # --- deciding ---------------------------------------------------------------------------------
    def _known(self) -> Lifecycle:
        assert self._state is not None, "the log is read before anything is decided"
        return self._state

    def _note(self, occurrence: Occurrence) -> None:
        if self._state is None:
            # Only a session of an earlier run can speak before the log is read; its epoch is about to pass.
            return
        self._state, actions = decide(self._state, occurrence, now=workflow.now())
        self._pending.extend(actions)

    def _is_long(self) -> bool:
        return (
            self._messages >= self._given.continue_after_messages
            or workflow.info().is_continue_as_new_suggested()
        )

    async def _wait(self, deadline: datetime | None) -> None:
        """Until there is something to do, or `deadline`, or an earlier one that came up meanwhile."""

        def awake() -> bool:
            due = next_deadline(self._known())
            sooner = due is not None and (deadline is None or due < deadline)
            return bool(self._pending) or sooner or self._is_long()

        patience = None if deadline is None else deadline - workflow.now()
        if patience is not None and patience <= timedelta(0):
            return
        try:
            await workflow.wait_condition(awake, timeout=patience)
        except TimeoutError:
            return

    # --- doing ------------------------------------------------------------------------------------
    async def _load(self) -> None:
        logged = await workflow.execute_activity(
            load_conversation,
            LoadConversation(tenant_id=self._given.tenant_id, conversation_id=self._given.conversation_id),
            schedule_to_close_timeout=APPEND_TIMEOUT,
            start_to_close_timeout=SEAL_ATTEMPT_TIMEOUT,
            retry_policy=APPEND_RETRY,
        )
        self._pending.clear()
        self._state, actions = begin(logged, now=workflow.now(), before=self._state)
        self._pending.extend(actions)

    async def _perform(self, action: Action) -> None:
        try:
            match action:
                case StartSession():
                    await self._start_session(action)
                case DrainSession():
                    await self._drain(action)
                case RecordStarted():
                    await self._record_started(action)
                case RecordLost():
                    await self._record_lost(action)
                case Seal():
                    await self._seal(action)
                case Reload():
                    await self._load()
                case _:
                    assert_never(action)
        except ActivityError as error:
            if not (isinstance(error.cause, ApplicationError) and error.cause.type in REFUSALS):
                raise
            # Somebody with a newer epoch wrote, for instance after this server's own store was set back.
            await self._load()

    async def _start_session(self, action: StartSession) -> None:
        timers = self._known().timers
        longest = timers.participant_absent_s + timers.max_call_duration_s
        try:
            await workflow.start_child_workflow(
                MediaSessionWorkflow.run,
                MediaSessionInput(
                    tenant_id=self._given.tenant_id,
                    conversation_id=self._given.conversation_id,
                    epoch=action.epoch,
                    claim_until=action.claim_until,
                    lasts_at_most=timedelta(seconds=longest) + SESSION_SLACK,
                    cause=action.cause or self._lost_event_id,
                ),
                id=media_session_id(self._given.conversation_id, action.epoch),
                task_timeout=WORKFLOW_TASK_TIMEOUT,
                # Continue-as-new closes the parent, and the call must go on.
                parent_close_policy=ParentClosePolicy.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            # A session of an earlier run holds this epoch's id: leave it behind with its epoch.
            self._note(SessionEnded(action.epoch, SessionOutcome.FAILED, None))

    async def _drain(self, action: DrainSession) -> None:
        child = workflow.get_external_workflow_handle(
            media_session_id(self._given.conversation_id, action.epoch)
        )
        try:
            await child.signal(SIGNAL_DRAIN)
        except ApplicationError:
            # It is gone; what it had to say is here already or comes no more, and the deadline decides.
            workflow.logger.info("media session was gone before it could be drained")
        self._note(DrainOrdered(action.epoch))

    async def _record_started(self, action: RecordStarted) -> None:
        await _append(
            append_started,
            AppendStarted(
                tenant_id=self._given.tenant_id,
                conversation_id=self._given.conversation_id,
                epoch=action.epoch,
                event_id=EventId(workflow.uuid7()),
                occurred_at=workflow.now(),
                cause=action.cause,
            ),
        )

    async def _record_lost(self, action: RecordLost) -> None:
        self._lost_event_id = EventId(workflow.uuid7())
        await _append(
            append_media_lost,
            AppendLost(
                tenant_id=self._given.tenant_id,
                conversation_id=self._given.conversation_id,
                epoch=action.epoch,
                event_id=self._lost_event_id,
                occurred_at=workflow.now(),
                cause=action.cause,
                worker_id=action.worker_id,
                reason=action.reason,
            ),
        )

    async def _seal(self, action: Seal) -> None:
        await workflow.execute_activity(
            seal_conversation,
            SealConversation(
                tenant_id=self._given.tenant_id,
                conversation_id=self._given.conversation_id,
                epoch=action.epoch,
                reason=action.reason,
                ended_event_id=EventId(workflow.uuid7()),
                sealed_event_id=EventId(workflow.uuid7()),
                occurred_at=workflow.now(),
                cause=action.cause,
                last_version=action.last_version,
                gaps=action.gaps,
                asked_by=action.asked_by,
            ),
            schedule_to_close_timeout=SEAL_TIMEOUT,
            start_to_close_timeout=SEAL_ATTEMPT_TIMEOUT,
            retry_policy=APPEND_RETRY,
        )
        self._note(SealStored())


async def _append(stub: Callable[[Request], Awaitable[Stored]], request: Request) -> None:
    await workflow.execute_activity(
        stub,
        request,
        schedule_to_close_timeout=APPEND_TIMEOUT,
        start_to_close_timeout=APPEND_ATTEMPT_TIMEOUT,
        retry_policy=APPEND_RETRY,
    )
