"""What follows from a fact, a command or the time, without a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    COMMANDS_KEPT_MAX,
    DRAIN_TIMEOUT_S,
    FACTS_PENDING_MAX,
    GAPS_KEPT_MAX,
    MEDIA_SESSIONS_MAX,
    PUBLISHERS_KEPT_MAX,
    Lifecycle,
    LoggedConversation,
    Timers,
    begin,
    coalesce,
    decide,
    next_deadline,
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
from domain.conversation.state import Status
from domain.events.catalogue import EndReason
from domain.ids import EventId, WorkerId
from domain.ports import Fact, FactKind

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
WORKER = WorkerId(UUID(int=7))
REQUESTED, ASSIGNED = EventId(UUID(int=1)), EventId(UUID(int=2))
PUBLISHER = UUID(int=9)
TIMERS = Timers(
    max_call_duration_s=600, participant_absent_s=60, participant_left_s=30, idle_s=120, reassign_s=20
)


class Call:
    """A lifecycle and its clock. `actions` are those of the last step."""

    def __init__(self, **logged: object) -> None:
        self.now = NOON
        self.sequence = 0
        known = LoggedConversation.model_validate(
            {"version": 1, "epoch": 0, "timers": TIMERS, "requested_event_id": REQUESTED, **logged}
        )
        self.state, self.actions = begin(known, now=self.now)

    def after(self, seconds: float) -> Call:
        self.now += timedelta(seconds=seconds)
        return self

    def see(self, occurrence: Occurrence) -> tuple[Action, ...]:
        self.state, self.actions = decide(self.state, occurrence, now=self.now)
        return self.actions

    def fact(self, kind: FactKind, reason: EndReason | None = None) -> tuple[Action, ...]:
        self.sequence += 1
        facts = (Fact(kind, reason),)
        return self.see(FactsReported(self.state.epoch, PUBLISHER, self.sequence, facts))

    def assigned(self) -> Call:
        self.see(SessionAssigned(self.state.epoch, WORKER, ASSIGNED))
        return self

    def live(self) -> Call:
        self.assigned().fact(FactKind.PARTICIPANT_CONNECTED)
        return self

    def ended(self, outcome: SessionOutcome, report: DrainReport | None = None) -> tuple[Action, ...]:
        return self.see(SessionEnded(self.state.epoch, outcome, report))


def test_a_new_conversation_looks_for_a_worker_under_the_first_epoch() -> None:
    call = Call()

    assert call.actions == (StartSession(1, NOON + timedelta(seconds=20), REQUESTED),)
    assert call.state.status is Status.REQUESTED
    assert call.assigned().state.status is Status.AWAITING_PARTICIPANT


def test_the_first_connection_starts_the_call_once() -> None:
    call = Call().assigned()

    assert call.fact(FactKind.PARTICIPANT_CONNECTED) == (RecordStarted(1, None),)
    assert call.fact(FactKind.PARTICIPANT_CONNECTED) == ()
    assert call.state.status is Status.LIVE


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(59, None), (60, EndReason.PARTICIPANT_ABSENT)],
)
def test_nobody_who_comes_is_waited_for_exactly_as_long_as_was_asked(
    seconds: int, reason: EndReason | None
) -> None:
    call = Call().assigned()

    call.after(seconds).see(TimePassed())

    assert call.state.end_reason == reason


def test_a_lost_connection_runs_the_shorter_timer_and_a_return_stops_it() -> None:
    call = Call().live()

    call.fact(FactKind.PARTICIPANT_DISCONNECTED)
    assert next_deadline(call.state) == NOON + timedelta(seconds=30)
    call.after(10).fact(FactKind.PARTICIPANT_CONNECTED)
    assert next_deadline(call.state) == call.now + timedelta(seconds=120)
    call.fact(FactKind.PARTICIPANT_DISCONNECTED)
    call.after(30).see(TimePassed())

    assert call.state.end_reason is EndReason.PARTICIPANT_LEFT


def test_speech_puts_the_idle_end_off_but_not_the_longest_duration() -> None:
    call = Call().live()
    for _ in range(5):
        call.after(119).fact(FactKind.ACTIVITY)
        call.see(TimePassed())
        assert call.state.end_reason is None

    call.after(5).see(TimePassed())

    assert call.state.end_reason is EndReason.MAX_CALL_DURATION


def test_silence_ends_the_call_as_idle() -> None:
    call = Call().live()

    assert call.after(120).see(TimePassed()) == (DrainSession(1),)
    assert call.state.end_reason is EndReason.IDLE


def test_activity_without_a_participant_does_not_start_the_idle_timer() -> None:
    call = Call().live()
    call.fact(FactKind.PARTICIPANT_DISCONNECTED)

    call.fact(FactKind.ACTIVITY)

    assert call.state.deadlines.idle_at is None


def test_no_worker_within_the_time_given_ends_the_call() -> None:
    call = Call()

    (seal,) = call.ended(SessionOutcome.NO_WORKER)

    assert isinstance(seal, Seal)
    assert (seal.reason, seal.last_version) == (EndReason.NO_MEDIA_WORKER, 0)


def test_the_workflow_does_not_rely_on_the_session_to_notice_that_no_worker_came() -> None:
    call = Call()

    assert call.after(20).see(TimePassed()) == (DrainSession(1),)
    assert call.state.end_reason is EndReason.NO_MEDIA_WORKER


def test_a_conversation_that_was_still_waiting_when_its_workflow_was_lost_was_never_reassigned() -> None:
    assert Call(epoch=1).state.status is Status.REQUESTED
    assert Call(epoch=1, workers_assigned=1).state.status is Status.REASSIGNING


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (SessionOutcome.LOST, "heartbeat_timeout"),
        (SessionOutcome.FAILED, "worker_failed"),
        (SessionOutcome.RETIRED, "worker_stopped"),
    ],
)
def test_a_session_that_ended_unasked_is_recorded_and_replaced_under_the_next_epoch(
    outcome: SessionOutcome, reason: str
) -> None:
    call = Call().live()

    lost, start = call.ended(outcome)

    assert isinstance(lost, RecordLost)
    assert (lost.epoch, lost.worker_id, lost.reason, lost.cause) == (2, WORKER, reason, ASSIGNED)
    assert start == StartSession(2, call.now + timedelta(seconds=20), None)
    statuses = [call.state.status, call.assigned().state.status]
    assert statuses == [Status.REASSIGNING, Status.LIVE]
    assert call.state.deadlines.left_at == call.now + timedelta(seconds=30)
    assert call.fact(FactKind.PARTICIPANT_CONNECTED) == ()


def test_a_session_that_no_worker_had_taken_leaves_no_trace_when_it_fails() -> None:
    call = Call()

    (start,) = call.ended(SessionOutcome.FAILED)

    assert isinstance(start, StartSession)
    assert (start.epoch, start.cause) == (2, REQUESTED)


def test_sessions_that_end_at_once_end_the_call_after_their_greatest_number() -> None:
    call = Call()
    for _ in range(MEDIA_SESSIONS_MAX - 1):
        call.assigned().ended(SessionOutcome.FAILED)
        assert call.state.end_reason is None

    *_, seal = call.assigned().ended(SessionOutcome.FAILED)

    assert isinstance(seal, Seal)
    assert seal.reason is EndReason.NO_MEDIA_WORKER


def test_a_session_that_drained_by_itself_was_hung_up_on() -> None:
    call = Call().live()

    (seal,) = call.ended(SessionOutcome.DRAINED, DrainReport(last_version=17, gaps=("frames:2",)))

    assert isinstance(seal, Seal)
    assert (seal.epoch, seal.reason) == (2, EndReason.PARTICIPANT_HUNG_UP)
    assert (seal.last_version, seal.gaps) == (17, ("frames:2",))


def test_an_end_drains_first_and_seals_with_what_the_session_reported() -> None:
    call = Call().live()
    command_id = uuid4()

    assert call.see(EndCommanded(command_id, EndReason.REQUESTED)) == (DrainSession(1),)
    wrapping_up = call.state.status
    (seal,) = call.ended(SessionOutcome.DRAINED, DrainReport(last_version=40))

    assert seal == Seal(2, EndReason.REQUESTED, EventId(command_id), 40, ())
    call.see(SealStored())
    assert [wrapping_up, call.state.status] == [Status.WRAPPING_UP, Status.SEALED]
    assert next_deadline(call.state) is None


def test_the_seal_names_the_program_that_asked_for_the_end_and_no_later_one() -> None:
    # Given a call that one program ends, and another one a moment later
    first, second = uuid4(), uuid4()
    call = Call().live()
    call.see(EndCommanded(uuid4(), EndReason.REQUESTED, first))
    call.see(EndCommanded(uuid4(), EndReason.REQUESTED, second))

    (seal,) = call.ended(SessionOutcome.DRAINED, DrainReport(last_version=40))

    assert isinstance(seal, Seal)
    assert seal.asked_by == first


def test_an_end_that_came_by_itself_is_no_programs_even_when_one_asks_afterwards() -> None:
    call = Call().live()
    call.fact(FactKind.END_WANTED)
    call.see(EndCommanded(uuid4(), EndReason.REQUESTED, uuid4()))

    (seal,) = call.ended(SessionOutcome.DRAINED, DrainReport(last_version=40))

    assert isinstance(seal, Seal)
    assert (seal.reason, seal.asked_by) == (EndReason.PARTICIPANT_HUNG_UP, None)


def test_a_session_that_does_not_drain_is_not_waited_for_beyond_its_time() -> None:
    call = Call().live()
    call.fact(FactKind.END_WANTED)

    assert call.after(DRAIN_TIMEOUT_S - 0.1).see(TimePassed()) == ()
    (seal,) = call.after(0.1).see(TimePassed())

    assert isinstance(seal, Seal)
    assert seal.last_version is None
    assert call.see(TimePassed()) == ()
    assert call.ended(SessionOutcome.DRAINED, DrainReport(last_version=3)) == ()


def test_the_time_to_drain_counts_from_when_the_order_was_given() -> None:
    call = Call().live()
    call.fact(FactKind.END_WANTED)

    call.after(60).see(DrainOrdered(1))

    assert call.see(TimePassed()) == ()
    assert len(call.after(DRAIN_TIMEOUT_S).see(TimePassed())) == 1


@pytest.mark.parametrize("outcome", [SessionOutcome.LOST, SessionOutcome.FAILED, SessionOutcome.REFUSED])
def test_a_session_that_is_lost_while_it_drains_is_sealed_without_its_report(outcome: SessionOutcome) -> None:
    call = Call().live()
    call.fact(FactKind.END_WANTED)

    (seal,) = call.ended(outcome)

    assert isinstance(seal, Seal)
    assert seal.last_version is None


def test_the_first_reason_to_end_stays() -> None:
    call = Call().live()
    call.fact(FactKind.END_WANTED, EndReason.GUARDRAIL)

    call.see(EndCommanded(uuid4(), EndReason.REQUESTED))
    call.after(10_000).see(TimePassed())

    assert call.state.end_reason is EndReason.GUARDRAIL


def test_a_batch_that_comes_again_or_from_an_earlier_epoch_is_dropped() -> None:
    call = Call().live()
    gone = FactsReported(1, PUBLISHER, 1, (Fact(FactKind.PARTICIPANT_DISCONNECTED),))

    assert call.see(gone) == ()
    assert call.state.connected
    call.ended(SessionOutcome.LOST)
    call.assigned()
    call.see(FactsReported(1, UUID(int=10), 1, (Fact(FactKind.PARTICIPANT_CONNECTED),)))
    assert not call.state.connected


def test_a_session_that_an_earlier_run_began_is_called_off_when_it_is_assigned() -> None:
    call = Call(epoch=3, workers_assigned=1)

    assert call.see(SessionAssigned(2, WORKER, ASSIGNED)) == (DrainSession(2),)
    assert call.state.status is Status.REASSIGNING


def test_an_ended_session_of_an_earlier_epoch_changes_nothing() -> None:
    call = Call().live()
    call.ended(SessionOutcome.LOST)
    before = call.state

    assert call.see(SessionEnded(1, SessionOutcome.FAILED, None)) == ()
    assert call.state == before


def test_a_refused_session_makes_the_workflow_read_the_log_again() -> None:
    call = Call().live()

    assert call.ended(SessionOutcome.REFUSED) == (Reload(),)


def test_what_the_log_says_overrules_the_workflow_but_not_a_decided_end() -> None:
    call = Call().live()
    logged = LoggedConversation(
        version=30,
        epoch=5,
        timers=TIMERS,
        requested_event_id=REQUESTED,
        started_at=NOON,
        worker_id=WORKER,
        assigned_event_id=ASSIGNED,
    )

    going_on, actions = begin(logged, now=NOON, before=call.state)
    asked_by = uuid4()
    call.see(EndCommanded(uuid4(), EndReason.REQUESTED, asked_by))
    ending, sealing = begin(logged, now=NOON, before=call.state)
    assert [each.asked_by for each in sealing if isinstance(each, Seal)] == [asked_by]

    assert [type(action) for action in actions] == [DrainSession, RecordLost, StartSession]
    assert (going_on.epoch, going_on.started) == (6, True)
    assert [type(action) for action in sealing] == [DrainSession, Seal]
    assert (ending.epoch, ending.end_reason) == (6, EndReason.REQUESTED)


def test_a_live_call_found_in_the_log_goes_on_under_a_new_epoch_with_its_old_limit() -> None:
    call = Call(epoch=3, started_at=NOON - timedelta(seconds=590), worker_id=WORKER)

    drain, lost, start = call.actions

    assert drain == DrainSession(3)
    assert isinstance(lost, RecordLost)
    assert (lost.epoch, lost.reason) == (4, "workflow_restarted")
    assert isinstance(start, StartSession)
    call.assigned()
    call.after(10).see(TimePassed())
    assert call.state.end_reason is EndReason.MAX_CALL_DURATION


def test_a_conversation_found_ended_is_sealed_and_one_found_sealed_is_left_alone() -> None:
    ended = Call(epoch=3, end_reason=EndReason.IDLE, worker_id=WORKER)
    sealed = Call(epoch=4, end_reason=EndReason.IDLE, sealed=True)

    assert ended.actions == (Seal(4, EndReason.IDLE, None, None, ()),)
    assert sealed.actions == ()
    assert sealed.state.status is Status.SEALED


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    call = Call().live()
    publishers = [uuid4() for _ in range(PUBLISHERS_KEPT_MAX + 3)]
    for publisher in publishers:
        call.see(FactsReported(1, publisher, 1, (Fact(FactKind.ACTIVITY),)))
    commands = [uuid4() for _ in range(COMMANDS_KEPT_MAX + 3)]
    for command_id in commands:
        call.see(EndCommanded(command_id, EndReason.REQUESTED))

    assert [seen.publisher for seen in call.state.publishers] == publishers[-PUBLISHERS_KEPT_MAX:]
    assert list(call.state.commands) == commands[-COMMANDS_KEPT_MAX:]


def test_gaps_beyond_the_bound_are_told_by_one_code() -> None:
    call = Call().live()
    gaps = tuple(f"frames:{n}" for n in range(GAPS_KEPT_MAX + 1))

    (seal,) = call.ended(SessionOutcome.DRAINED, DrainReport(last_version=1, gaps=gaps))

    assert isinstance(seal, Seal)
    assert len(seal.gaps) == GAPS_KEPT_MAX
    assert seal.gaps[-1] == "more_gaps"


def test_the_state_survives_the_way_into_the_next_run() -> None:
    call = Call().live()
    call.fact(FactKind.PARTICIPANT_DISCONNECTED)
    call.see(EndCommanded(uuid4(), EndReason.REQUESTED))

    assert Lifecycle.model_validate_json(call.state.model_dump_json()) == call.state


KINDS = st.sampled_from(list(FactKind))


@given(st.lists(KINDS, max_size=40))
def test_facts_that_wait_stay_few_and_lead_to_the_same_state(kinds: list[FactKind]) -> None:
    pending: tuple[Fact, ...] = ()
    one_by_one, together = Call().live(), Call().live()

    for kind in kinds:
        pending = coalesce(pending, Fact(kind))
        one_by_one.fact(kind)
    together.see(FactsReported(1, PUBLISHER, 100, pending))

    assert len(pending) <= FACTS_PENDING_MAX
    assert together.state.connected == one_by_one.state.connected
    assert together.state.end_reason == one_by_one.state.end_reason


@given(st.lists(KINDS, max_size=20))
def test_a_first_connection_is_never_lost_among_facts_that_wait(kinds: list[FactKind]) -> None:
    pending: tuple[Fact, ...] = ()
    for kind in kinds:
        pending = coalesce(pending, Fact(kind))
    call = Call().assigned()

    call.see(FactsReported(1, PUBLISHER, 1, pending))

    before_the_end = kinds[: kinds.index(FactKind.END_WANTED)] if FactKind.END_WANTED in kinds else kinds
    if FactKind.PARTICIPANT_CONNECTED in before_the_end:
        assert call.state.started
