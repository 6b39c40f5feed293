"""The life of a conversation, decided without a clock: what follows from a fact, a command or the time.

The workflow is a thin shell around `begin` and `decide`: it tells them what happened and when, and carries
out the actions they return, in their order. The state crosses continue-as-new, so it is small and bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID

from domain.conversation.actions import (
    Action,
    DrainSession,
    LostReason,
    RecordLost,
    RecordStarted,
    Reload,
    Seal,
    StartSession,
)
from domain.conversation.occurrences import (
    DrainOrdered,
    DrainReport,
    EndCommanded,
    FactsReported,
    Occurrence,
    SealStored,
    SessionAssigned,
    SessionEnded,
    SessionOutcome,
    TimePassed,
)
from domain.conversation.properties import ConversationProperties
from domain.conversation.state import Status
from domain.events.catalogue import EndReason
from domain.events.payload import Frozen
from domain.ids import EventId, WorkerId
from domain.ports import Fact, FactKind

# How long a worker has to write what it holds before the record is closed without it.
DRAIN_TIMEOUT_S = 5.0
# Media sessions that one conversation may use up. A fault that ends each session at once must end the call
# rather than go on for ever; a call of six hours that is moved every quarter of an hour stays below it.
MEDIA_SESSIONS_MAX = 32
# Publishers whose last sequence is remembered; the one that was heard from longest ago is forgotten first.
# Only the owner of the current epoch is listened to, so that more than one is already unusual.
PUBLISHERS_KEPT_MAX = 8
# Commands whose ids are remembered; the oldest is forgotten first. Ending twice changes nothing anyway.
COMMANDS_KEPT_MAX = 64
# Gaps that media sessions reported; beyond it one code says that there were more.
GAPS_KEPT_MAX = 32
# Facts that can wait for the next batch; `coalesce` never keeps more.
FACTS_PENDING_MAX = 4

# What a command may give as the reason; the other reasons are the workflow's own findings.
COMMANDED_REASONS = frozenset({EndReason.REQUESTED, EndReason.PARTICIPANT_HUNG_UP, EndReason.GUARDRAIL})


class Timers(Frozen):
    """Seconds."""

    max_call_duration_s: float
    participant_absent_s: float
    participant_left_s: float
    idle_s: float
    reassign_s: float

    @classmethod
    def of(cls, properties: ConversationProperties) -> Timers:
        return cls(
            max_call_duration_s=properties.max_call_duration,
            participant_absent_s=properties.participant_absent_timeout,
            participant_left_s=properties.participant_left_timeout,
            idle_s=properties.idle_timeout,
            reassign_s=properties.reassign_timeout,
        )


class LoggedConversation(Frozen):
    """What the log says of a conversation, in ids, versions and codes."""

    version: int
    epoch: int
    timers: Timers
    requested_event_id: EventId
    started_at: datetime | None = None
    # The worker that was assigned last and not reported lost, and that assignment's event.
    worker_id: WorkerId | None = None
    assigned_event_id: EventId | None = None
    workers_assigned: int = 0
    end_reason: EndReason | None = None
    sealed: bool = False


class MediaSession(Frozen):
    """The media session of the current epoch. `worker_id` is None until the log names the worker."""

    epoch: int
    worker_id: WorkerId | None = None
    assigned_event_id: EventId | None = None


class SeenPublisher(Frozen):
    publisher: UUID
    sequence: int


class Deadlines(Frozen):
    """Points in workflow time; None while the timer is not running."""

    absent_at: datetime | None = None
    left_at: datetime | None = None
    idle_at: datetime | None = None
    ends_at: datetime | None = None
    reassign_at: datetime | None = None
    drain_at: datetime | None = None


class Lifecycle(Frozen):
    """`epoch` is the newest that this workflow has given out."""

    timers: Timers
    requested_event_id: EventId
    epoch: int = 0
    session: MediaSession | None = None
    sessions_started: int = 0
    workers_assigned: int = 0
    started: bool = False
    connected: bool = False
    end_reason: EndReason | None = None
    end_cause: EventId | None = None
    end_asked_by: UUID | None = None
    sealing: bool = False
    sealed: bool = False
    gaps: tuple[str, ...] = ()
    deadlines: Deadlines = Deadlines()
    publishers: tuple[SeenPublisher, ...] = ()
    commands: tuple[UUID, ...] = ()

    @property
    def status(self) -> Status:
        if self.sealed:
            return Status.SEALED
        if self.end_reason is not None:
            return Status.WRAPPING_UP
        if self.session is not None and self.session.worker_id is not None:
            return Status.LIVE if self.started else Status.AWAITING_PARTICIPANT
        return Status.REASSIGNING if self.workers_assigned else Status.REQUESTED

    def with_(self, **changes: object) -> Lifecycle:
        return self.model_copy(update=changes)

    def timed(self, **changes: datetime | None) -> Lifecycle:
        return self.with_(deadlines=self.deadlines.model_copy(update=changes))


Decision = tuple[Lifecycle, tuple[Action, ...]]


def begin(logged: LoggedConversation, *, now: datetime, before: Lifecycle | None = None) -> Decision:
    """The state at the start of a workflow, or after the log overruled the one `before`."""
    state = Lifecycle(
        timers=logged.timers,
        requested_event_id=logged.requested_event_id,
        epoch=logged.epoch if before is None else max(logged.epoch, before.epoch),
        started=logged.started_at is not None,
        workers_assigned=logged.workers_assigned,
        sealed=logged.sealed,
        end_reason=logged.end_reason,
    )
    actions: tuple[Action, ...] = ()
    if before is not None:
        # An end that was decided stays decided.
        state = state.with_(
            sessions_started=before.sessions_started,
            commands=before.commands,
            gaps=before.gaps,
            end_reason=logged.end_reason or before.end_reason,
            end_cause=before.end_cause,
            end_asked_by=before.end_asked_by,
        )
        if before.session is not None:
            actions = (DrainSession(before.session.epoch),)
    if logged.sealed:
        return state, actions
    if state.end_reason is not None:
        # Whether the session that was running wrote everything is not known any more.
        state, sealing = _seal(state, None if logged.worker_id else DrainReport(last_version=0))
        return state, actions + sealing
    if logged.started_at is None:
        state = state.timed(absent_at=_after(now, state.timers.participant_absent_s))
    else:
        state = state.timed(ends_at=_after(logged.started_at, state.timers.max_call_duration_s))
    lost = None
    if logged.worker_id is not None:
        lost = MediaSession(
            epoch=logged.epoch, worker_id=logged.worker_id, assigned_event_id=logged.assigned_event_id
        )
        if before is None:
            # Where it still runs, it hears at once that it is over, rather than at its next append.
            actions = (DrainSession(logged.epoch),)
    state, starting = _next_session(state, lost, "workflow_restarted", now)
    return state, actions + starting


def decide(state: Lifecycle, occurrence: Occurrence, *, now: datetime) -> Decision:
    """What follows. An occurrence that was seen before, or is of another epoch, changes nothing."""
    if state.sealed:
        return state, ()
    match occurrence:
        case FactsReported():
            return _facts(state, occurrence, now)
        case SessionAssigned():
            return _assigned(state, occurrence, now)
        case SessionEnded():
            return _session_ended(state, occurrence, now)
        case EndCommanded():
            return _commanded(state, occurrence, now)
        case TimePassed():
            return _time(state, now)
        case DrainOrdered():
            return _drain_ordered(state, occurrence, now), ()
        case SealStored():
            return state.with_(sealed=True, session=None, deadlines=Deadlines()), ()
        case _:
            assert_never(occurrence)


def next_deadline(state: Lifecycle) -> datetime | None:
    """When `TimePassed` is due at the latest."""
    running = [at for at, _ in _running(state.deadlines)]
    if state.deadlines.drain_at is not None:
        running.append(state.deadlines.drain_at)
    return min(running, default=None)


def coalesce(pending: tuple[Fact, ...], fact: Fact) -> tuple[Fact, ...]:
    """`pending` with one more fact, and never more than FACTS_PENDING_MAX. Where a batch would say the same
    without a fact, it goes: repeated activity, the middle of a connection that came and went, and whatever
    follows the wish to end. That somebody connected at all is never lost."""
    if any(earlier.kind is FactKind.END_WANTED for earlier in pending):
        return pending
    match fact.kind:
        case FactKind.END_WANTED:
            return (*pending, fact)
        case FactKind.ACTIVITY:
            return (*(f for f in pending if f.kind is not FactKind.ACTIVITY), fact)
        case FactKind.PARTICIPANT_CONNECTED | FactKind.PARTICIPANT_DISCONNECTED:
            changes = [f for f in pending if f.kind in _CONNECTION]
            if changes and changes[-1].kind is fact.kind:
                return pending
            if len(changes) < 2:
                return (*pending, fact)
            if fact.kind is FactKind.PARTICIPANT_CONNECTED:
                return tuple(f for f in pending if f is not changes[1])
            return (*(f for f in pending if f is not changes[0]), fact)
        case _:
            assert_never(fact.kind)


_CONNECTION = (FactKind.PARTICIPANT_CONNECTED, FactKind.PARTICIPANT_DISCONNECTED)


def _bounded(gaps: tuple[str, ...]) -> tuple[str, ...]:
    return gaps if len(gaps) <= GAPS_KEPT_MAX else (*gaps[: GAPS_KEPT_MAX - 1], "more_gaps")


def _after(moment: datetime, seconds: float) -> datetime:
    return moment + timedelta(seconds=seconds)


def _running(deadlines: Deadlines) -> Iterator[tuple[datetime, EndReason]]:
    for at, reason in (
        (deadlines.ends_at, EndReason.MAX_CALL_DURATION),
        (deadlines.absent_at, EndReason.PARTICIPANT_ABSENT),
        (deadlines.left_at, EndReason.PARTICIPANT_LEFT),
        (deadlines.idle_at, EndReason.IDLE),
        (deadlines.reassign_at, EndReason.NO_MEDIA_WORKER),
    ):
        if at is not None:
            yield at, reason


def _facts(state: Lifecycle, batch: FactsReported, now: datetime) -> Decision:
    if state.session is None or batch.epoch != state.session.epoch:
        return state, ()
    seen = {known.publisher: known.sequence for known in state.publishers}
    if batch.sequence <= seen.get(batch.publisher, 0):
        return state, ()
    others = tuple(known for known in state.publishers if known.publisher != batch.publisher)
    newest = SeenPublisher(publisher=batch.publisher, sequence=batch.sequence)
    state = state.with_(publishers=(*others, newest)[-PUBLISHERS_KEPT_MAX:])
    actions: tuple[Action, ...] = ()
    for fact in batch.facts:
        state, more = _fact(state, fact, now)
        actions += more
    return state, actions


def _fact(state: Lifecycle, fact: Fact, now: datetime) -> Decision:
    if state.end_reason is not None:
        return state, ()
    match fact.kind:
        case FactKind.PARTICIPANT_CONNECTED:
            state = state.with_(connected=True).timed(
                absent_at=None, left_at=None, idle_at=_after(now, state.timers.idle_s)
            )
            if state.started:
                return state, ()
            state = state.with_(started=True).timed(ends_at=_after(now, state.timers.max_call_duration_s))
            return state, (RecordStarted(state.epoch, fact.cause),)
        case FactKind.PARTICIPANT_DISCONNECTED:
            if not state.connected:
                return state, ()
            left_at = _after(now, state.timers.participant_left_s)
            return state.with_(connected=False).timed(left_at=left_at, idle_at=None), ()
        case FactKind.ACTIVITY:
            if not state.connected:
                return state, ()
            return state.timed(idle_at=_after(now, state.timers.idle_s)), ()
        case FactKind.END_WANTED:
            return _end(state, fact.reason or EndReason.PARTICIPANT_HUNG_UP, fact.cause, now)
        case _:
            assert_never(fact.kind)


def _assigned(state: Lifecycle, assigned: SessionAssigned, now: datetime) -> Decision:
    if state.session is None or assigned.epoch != state.session.epoch:
        # Begun by an earlier run of the workflow: nobody waits for it, and it holds a place.
        return state, (DrainSession(assigned.epoch),)
    session = state.session.model_copy(
        update={"worker_id": assigned.worker_id, "assigned_event_id": assigned.event_id}
    )
    state = state.with_(session=session, workers_assigned=state.workers_assigned + 1)
    state = state.timed(reassign_at=None)
    if state.started and state.end_reason is None:
        # The call was live before: the participant has as long to come back as after a lost connection.
        state = state.timed(left_at=_after(now, state.timers.participant_left_s))
    return state, ()


def _session_ended(state: Lifecycle, ended: SessionEnded, now: datetime) -> Decision:
    if state.session is None or ended.epoch != state.session.epoch:
        return state, ()
    lost = state.session
    if ended.report is not None:
        state = state.with_(gaps=_bounded((*state.gaps, *ended.report.gaps)))
    state = state.with_(session=None, connected=False)
    if state.end_reason is not None:
        if state.sealing:
            return state, ()
        wrote_all = ended.outcome in (
            SessionOutcome.DRAINED,
            SessionOutcome.RETIRED,
            SessionOutcome.NOT_STARTED,
            SessionOutcome.NO_WORKER,
        )
        return _seal(state, (ended.report or DrainReport(last_version=0)) if wrote_all else None)
    match ended.outcome:
        case SessionOutcome.DRAINED:
            report = ended.report or DrainReport(last_version=0)
            return _seal(_ending(state, EndReason.PARTICIPANT_HUNG_UP, None), report)
        case SessionOutcome.NO_WORKER:
            return _seal(_ending(state, EndReason.NO_MEDIA_WORKER, None), DrainReport(last_version=0))
        case SessionOutcome.REFUSED:
            return state, (Reload(),)
        case SessionOutcome.LOST:
            return _next_session(state, lost, "heartbeat_timeout", now)
        case SessionOutcome.RETIRED:
            return _next_session(state, lost, "worker_stopped", now)
        case SessionOutcome.FAILED | SessionOutcome.NOT_STARTED:
            return _next_session(state, lost, "worker_failed", now)
        case _:
            assert_never(ended.outcome)


def _next_session(state: Lifecycle, lost: MediaSession | None, reason: LostReason, now: datetime) -> Decision:
    epoch = state.epoch + 1
    state = state.with_(epoch=epoch, session=None, connected=False)
    actions: tuple[Action, ...] = ()
    if lost is not None and lost.worker_id is not None:
        actions = (RecordLost(epoch, lost.worker_id, reason, lost.assigned_event_id),)
    if state.sessions_started >= MEDIA_SESSIONS_MAX:
        state, sealing = _seal(_ending(state, EndReason.NO_MEDIA_WORKER, None), DrainReport(last_version=0))
        return state, actions + sealing
    claim_until = _after(now, state.timers.reassign_s)
    state = state.with_(session=MediaSession(epoch=epoch), sessions_started=state.sessions_started + 1).timed(
        reassign_at=claim_until, left_at=None, idle_at=None
    )
    cause = None if actions else state.requested_event_id
    return state, (*actions, StartSession(epoch, claim_until, cause))


def _commanded(state: Lifecycle, command: EndCommanded, now: datetime) -> Decision:
    if command.command_id in state.commands:
        return state, ()
    state = state.with_(commands=(*state.commands, command.command_id)[-COMMANDS_KEPT_MAX:])
    if state.end_reason is None:
        state = state.with_(end_asked_by=command.asked_by)
    return _end(state, command.reason, EventId(command.command_id), now)


def _time(state: Lifecycle, now: datetime) -> Decision:
    if state.end_reason is not None:
        drain_at = state.deadlines.drain_at
        if drain_at is not None and drain_at <= now and not state.sealing:
            return _seal(state, None)
        return state, ()
    due = [(at, reason) for at, reason in _running(state.deadlines) if at <= now]
    if not due:
        return state, ()
    # `min` keeps the order of `_running` among equals, so that the hardest limit gives its name.
    _, reason = min(due, key=lambda entry: entry[0])
    return _end(state, reason, None, now)


def _end(state: Lifecycle, reason: EndReason, cause: EventId | None, now: datetime) -> Decision:
    if state.end_reason is not None:
        return state, ()
    state = _ending(state, reason, cause)
    if state.session is None:
        return _seal(state, DrainReport(last_version=0))
    return state.timed(drain_at=_after(now, DRAIN_TIMEOUT_S)), (DrainSession(state.session.epoch),)


def _drain_ordered(state: Lifecycle, ordered: DrainOrdered, now: datetime) -> Lifecycle:
    if state.deadlines.drain_at is None or state.session is None or ordered.epoch != state.session.epoch:
        return state
    # The order may have waited behind an append; its time counts from when it was given.
    return state.timed(drain_at=_after(now, DRAIN_TIMEOUT_S))


def _ending(state: Lifecycle, reason: EndReason, cause: EventId | None) -> Lifecycle:
    return state.with_(end_reason=reason, end_cause=cause, deadlines=Deadlines())


def _seal(state: Lifecycle, report: DrainReport | None) -> Decision:
    reason = state.end_reason
    assert reason is not None, "a conversation is sealed after its end is decided"
    last_version = None if report is None else report.last_version
    state = state.with_(epoch=state.epoch + 1, sealing=True, deadlines=Deadlines())
    seal = Seal(state.epoch, reason, state.end_cause, last_version, state.gaps, state.end_asked_by)
    return state, (seal,)
