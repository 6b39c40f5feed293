"""One assignment of a media worker: find one, let it take the session, tell the conversation how it ended.

A child of its own, so that a conversation that continues as new does not cancel its media.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as TemporalTimeout
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from domain.conversation.occurrences import (
        DrainReport,
        SessionOutcome,
    )
    from domain.errors import StaleEpoch, StreamSealed
    from domain.events.catalogue import UnavailableReason
    from domain.ids import EventId
    from workflows.contracts import (
        APPEND_ATTEMPT_TIMEOUT,
        APPEND_RETRY,
        CLAIM_ATTEMPT_TIMEOUT,
        CLAIM_RETRY,
        HEARTBEAT_TIMEOUT,
        MEDIA_QUEUE,
        MEDIA_SESSION_WORKFLOW,
        NO_VACANCY,
        ONE_ATTEMPT,
        OWN_QUEUE_TIMEOUT,
        SIGNAL_ASSIGNED,
        SIGNAL_DRAIN,
        SIGNAL_ENDED,
        UNAVAILABLE_AFTER,
        UNAVAILABLE_APPEND_TIMEOUT,
        AppendAssigned,
        AppendUnavailable,
        ClaimMediaWorker,
        MediaClaim,
        MediaSessionAssigned,
        MediaSessionEnded,
        MediaSessionInput,
        MediaSessionResult,
        RunMediaSession,
        Stored,
        append_media_assigned,
        append_media_unavailable,
        claim_media_worker,
        run_media_session,
    )

REFUSALS = frozenset({StaleEpoch.code, StreamSealed.code})

# Sessions that began before waiting was put on the record ask once, for as long as they may.
WAITING_IS_RECORDED = "waiting-is-recorded"


@workflow.defn(name=MEDIA_SESSION_WORKFLOW)
class MediaSessionWorkflow:
    @workflow.init
    def __init__(self, spec: MediaSessionInput) -> None:
        self._spec = spec
        self._drain = False

    @workflow.run
    async def run(self, spec: MediaSessionInput) -> MediaSessionEnded:
        ended = await self._carry()
        await self._tell(SIGNAL_ENDED, ended)
        return ended

    @workflow.signal(name=SIGNAL_DRAIN)
    def drain(self) -> None:
        self._drain = True

    async def _carry(self) -> MediaSessionEnded:
        claim = await self._claim()
        if isinstance(claim, SessionOutcome):
            return self._ended(claim)
        refused = await self._take_over(claim)
        if refused is not None:
            return self._ended(refused)
        if self._drain:
            return self._ended(SessionOutcome.NOT_STARTED)
        return await self._session(claim)

    async def _claim(self) -> MediaClaim | SessionOutcome:
        """Asks until `claim_until`. That nobody took the claim at first is put on the record, before anybody
        can take it, and once."""
        if not workflow.patched(WAITING_IS_RECORDED):
            found = await self._ask(self._patience())
            return SessionOutcome.NO_WORKER if isinstance(found, UnavailableReason) else found
        began, noted, recorded = workflow.now(), None, None
        # Half of a short patience, so that the record is there before the end that it explains.
        unrecorded = min(self._patience() / 2, UNAVAILABLE_AFTER)
        while (patience := self._patience()) > timedelta(0):
            found = await self._ask(patience if recorded else min(patience, unrecorded))
            if not isinstance(found, UnavailableReason):
                return found
            if not recorded:
                noted = noted or self._unavailable(found, began)
                recorded = await self._record(noted)
            if recorded is SessionOutcome.REFUSED:
                return recorded
            if self._drain:
                return SessionOutcome.NOT_STARTED
        return SessionOutcome.NO_WORKER

    def _patience(self) -> timedelta:
        return self._spec.claim_until - workflow.now()

    async def _ask(self, patience: timedelta) -> MediaClaim | SessionOutcome | UnavailableReason:
        """A shared queue needs no short wait: the first worker with a place, also one that starts only now,
        takes the claim."""
        if patience <= timedelta(0):
            return SessionOutcome.NO_WORKER
        claiming = workflow.start_activity(
            claim_media_worker,
            ClaimMediaWorker(conversation_id=self._spec.conversation_id),
            task_queue=MEDIA_QUEUE,
            schedule_to_close_timeout=patience,
            start_to_close_timeout=CLAIM_ATTEMPT_TIMEOUT,
            retry_policy=CLAIM_RETRY,
            cancellation_type=ActivityCancellationType.TRY_CANCEL,
        )
        await workflow.wait_condition(lambda: self._drain or claiming.done())
        called_off = not claiming.done() and claiming.cancel()
        try:
            return await claiming
        except ActivityError as error:
            if called_off:
                return SessionOutcome.NOT_STARTED
            return _found_nobody(error) or outcome_of(error)

    def _unavailable(self, reason: UnavailableReason, began: datetime) -> AppendUnavailable:
        spec, now = self._spec, workflow.now()
        return AppendUnavailable(
            tenant_id=spec.tenant_id,
            conversation_id=spec.conversation_id,
            epoch=spec.epoch,
            event_id=EventId(workflow.uuid7()),
            occurred_at=now,
            cause=spec.cause,
            reason=reason,
            waited_ms=(now - began) // timedelta(milliseconds=1),
        )

    async def _record(self, noted: AppendUnavailable) -> Stored | SessionOutcome | None:
        """None while Postgres is away: then it is tried again after the next claim."""
        try:
            return await workflow.execute_activity(
                append_media_unavailable,
                noted,
                schedule_to_close_timeout=UNAVAILABLE_APPEND_TIMEOUT,
                start_to_close_timeout=UNAVAILABLE_APPEND_TIMEOUT,
                retry_policy=APPEND_RETRY,
            )
        except ActivityError as error:
            return SessionOutcome.REFUSED if outcome_of(error) is SessionOutcome.REFUSED else None

    async def _take_over(self, claim: MediaClaim) -> SessionOutcome | None:
        """Raises the epoch in the log: from here on nobody else writes as the session."""
        spec = self._spec
        event_id = EventId(workflow.uuid7())
        try:
            await workflow.execute_activity(
                append_media_assigned,
                AppendAssigned(
                    tenant_id=spec.tenant_id,
                    conversation_id=spec.conversation_id,
                    epoch=spec.epoch,
                    event_id=event_id,
                    occurred_at=workflow.now(),
                    cause=spec.cause,
                ),
                task_queue=claim.task_queue,
                schedule_to_start_timeout=OWN_QUEUE_TIMEOUT,
                start_to_close_timeout=APPEND_ATTEMPT_TIMEOUT,
                # The place is kept for a few seconds only: one attempt, then another worker is claimed.
                retry_policy=ONE_ATTEMPT,
            )
        except ActivityError as error:
            return outcome_of(error)
        assigned = MediaSessionAssigned(epoch=spec.epoch, worker_id=claim.worker_id, event_id=event_id)
        return await self._tell(SIGNAL_ASSIGNED, assigned)

    async def _session(self, claim: MediaClaim) -> MediaSessionEnded:
        spec = self._spec
        running = workflow.start_activity(
            run_media_session,
            RunMediaSession(tenant_id=spec.tenant_id, conversation_id=spec.conversation_id, epoch=spec.epoch),
            task_queue=claim.task_queue,
            schedule_to_start_timeout=OWN_QUEUE_TIMEOUT,
            start_to_close_timeout=spec.lasts_at_most,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=ONE_ATTEMPT,
            # A drained session answers with its last version, which a cancelled one would not.
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        await workflow.wait_condition(lambda: self._drain or running.done())
        if not running.done():
            running.cancel()
        try:
            result: MediaSessionResult = await running
        except ActivityError as error:
            return self._ended(outcome_of(error))
        return MediaSessionEnded(
            epoch=spec.epoch,
            outcome=result.outcome,
            report=result.report,
            undelivered=result.undelivered,
        )

    def _ended(self, outcome: SessionOutcome) -> MediaSessionEnded:
        nothing = DrainReport(last_version=0) if outcome is SessionOutcome.NOT_STARTED else None
        return MediaSessionEnded(epoch=self._spec.epoch, outcome=outcome, report=nothing)

    async def _tell(self, signal: str, message: object) -> SessionOutcome | None:
        """REFUSED when the conversation is gone: then nobody needs this session."""
        conversation = workflow.get_external_workflow_handle(str(self._spec.conversation_id))
        try:
            await conversation.signal(signal, message)
        except ApplicationError:
            return SessionOutcome.REFUSED
        return None


def _found_nobody(error: ActivityError) -> UnavailableReason | None:
    """Why, where the time for the claim ran out rather than the claim itself going wrong."""
    cause = error.cause
    if isinstance(cause, TemporalTimeout):
        # What the last worker answered that was asked stands below the time-out.
        return UnavailableReason.ALL_WORKERS_FULL if _is_full(cause.cause) else UnavailableReason.NO_WORKER
    return UnavailableReason.ALL_WORKERS_FULL if _is_full(cause) else None


def _is_full(error: BaseException | None) -> bool:
    return isinstance(error, ApplicationError) and error.type == NO_VACANCY


def outcome_of(error: ActivityError) -> SessionOutcome:
    """What a failed activity of the session means."""
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type in REFUSALS:
        return SessionOutcome.REFUSED
    if isinstance(cause, TemporalTimeout) and cause.type in (
        TimeoutType.HEARTBEAT,
        TimeoutType.SCHEDULE_TO_START,
    ):
        return SessionOutcome.LOST
    return SessionOutcome.FAILED
