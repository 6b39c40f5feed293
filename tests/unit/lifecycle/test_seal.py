"""What a seal says: the number of events, the digest of their headers, and what is missing."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from domain.conversation.seal import GAPS_MAX, Survey
from domain.events.canonical import canonical_bytes
from domain.events.catalogue import (
    ConversationEnded,
    ConversationStarted,
    EndReason,
    GuardrailEvaluated,
    MediaAssigned,
    MediaConnected,
    MediaDisconnected,
    MediaLost,
    SentenceCommitted,
    SentenceInterrupted,
    SentenceKind,
    SentencePlayed,
    UtteranceTranscribed,
    Verdict,
)
from domain.events.envelope import Actor, ActorKind, RecordedEvent
from domain.events.payload import Payload
from domain.ids import (
    ConversationId,
    EventId,
    ParticipantId,
    ReplyId,
    SentenceId,
    TenantId,
    TurnId,
    UtteranceId,
    WorkerId,
    conversation_stream,
)
from domain.mind.emotion import Emotion
from tests.fakes.events import requested

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
STREAM = conversation_stream(ConversationId(UUID(int=1)))
WORKER = WorkerId(UUID(int=7))


def recorded(version: int, payload: Payload, *, epoch: int = 1) -> RecordedEvent[Payload]:
    return RecordedEvent(
        event_id=EventId(UUID(int=version)),
        occurred_at=NOON,
        actor=Actor(kind=ActorKind.SYSTEM, id="tests"),
        payload=payload,
        tenant_id=TenantId(UUID(int=2)),
        stream_id=STREAM,
        version=version,
        recorded_at=NOON,
        session_epoch=epoch,
        stored_schema_version=1,
        payload_sha256="0" * 64,
    )


def survey(*payloads: Payload) -> Survey:
    found = Survey()
    for version, payload in enumerate(payloads, 1):
        found.take(recorded(version, payload))
    return found


def committed(sentence_id: SentenceId) -> SentenceCommitted:
    return SentenceCommitted(
        sentence_id=sentence_id,
        reply_id=ReplyId(uuid4()),
        turn_id=TurnId(uuid4()),
        index=0,
        kind=SentenceKind.ANSWER,
        text="The excess is 250 euros.",
        emotion=Emotion.NEUTRAL,
    )


def test_the_digest_is_that_of_the_headers_as_lines_of_canonical_json() -> None:
    events = [recorded(1, ConversationStarted()), recorded(2, ConversationEnded(reason=EndReason.IDLE))]
    found = Survey()
    for event in events:
        found.take(event)

    lines = b"".join(canonical_bytes(event.header()) + b"\n" for event in events)

    seal = found.seal(last_version=2, reported=())
    assert (seal.count, seal.headers_sha256) == (2, hashlib.sha256(lines).hexdigest())
    assert (seal.capture, seal.gaps) == ("complete", ())


def test_a_missing_version_is_not_surveyed() -> None:
    found = survey(ConversationStarted())

    with pytest.raises(ValueError, match="version 3 does not follow 1"):
        found.take(recorded(3, ConversationStarted()))


def test_a_committed_sentence_needs_a_fate() -> None:
    played, cut, lost = (SentenceId(uuid4()) for _ in range(3))
    found = survey(
        committed(played),
        committed(cut),
        committed(lost),
        SentencePlayed(sentence_id=played, started_media_ms=0, played_ms=900),
        SentenceInterrupted(
            sentence_id=cut, started_media_ms=900, played_ms=10, played_text="The", cause="barge_in"
        ),
    )

    seal = found.seal(last_version=5, reported=())

    assert (seal.capture, seal.gaps) == ("incomplete", (f"sentence_without_fate:{lost}",))


def test_a_session_that_was_not_drained_and_one_that_was_lost_are_gaps_but_one_that_stopped_is_not() -> None:
    assigned = MediaAssigned(worker_id=WORKER, address="http://127.0.0.1:1")
    found = Survey()
    found.take(recorded(1, assigned, epoch=1))
    found.take(recorded(2, MediaLost(worker_id=WORKER, reason="heartbeat_timeout"), epoch=2))
    found.take(recorded(3, assigned, epoch=2))
    found.take(recorded(4, MediaLost(worker_id=WORKER, reason="worker_stopped"), epoch=3))

    assert found.seal(last_version=None, reported=()).gaps == ("not_drained", "session_lost:1")


def test_events_that_a_drained_session_had_written_and_that_are_not_there_are_a_gap() -> None:
    assert survey(ConversationStarted()).seal(last_version=4, reported=()).gaps == ("versions_missing:3",)


def test_a_reported_gap_that_is_not_a_code_is_not_repeated() -> None:
    seal = survey(ConversationStarted()).seal(last_version=1, reported=("frames:3", "Ada said 42"))

    assert seal.gaps == ("frames:3", "uncoded")


def test_gaps_beyond_the_bound_are_counted() -> None:
    sentences = [SentenceId(uuid4()) for _ in range(GAPS_MAX + 5)]

    seal = survey(*map(committed, sentences)).seal(last_version=len(sentences), reported=())

    assert len(seal.gaps) == GAPS_MAX
    assert seal.gaps[-1] == "more_gaps:6"


def test_an_end_follows_from_the_newest_event_that_set_its_timer() -> None:
    # Given a call that was moved to another worker after its participant had spoken
    person = ParticipantId(uuid4())
    assigned = MediaAssigned(worker_id=WORKER, address="http://127.0.0.1:1")
    found = survey(
        requested().payload,
        assigned,
        MediaConnected(participant_id=person, connection=1),
        ConversationStarted(),
        spoken("Hello."),
        MediaDisconnected(participant_id=person, connection=1, reason="lost"),
        MediaLost(worker_id=WORKER, reason="heartbeat_timeout"),
        assigned,
    )

    # Then each reason to end has the event behind it, and one that nothing speaks for has the request
    assert {reason: found.cause_of_end(reason) for reason in EndReason} == {
        EndReason.PARTICIPANT_ABSENT: at(1),
        EndReason.REQUESTED: at(1),
        EndReason.GUARDRAIL: at(1),
        EndReason.PARTICIPANT_HUNG_UP: at(3),
        EndReason.MAX_CALL_DURATION: at(4),
        EndReason.IDLE: at(5),
        EndReason.NO_MEDIA_WORKER: at(7),
        EndReason.PARTICIPANT_LEFT: at(8),
        EndReason.RECORD_UNAVAILABLE: at(8),
    }


def test_a_verdict_ends_a_call_only_where_it_says_so() -> None:
    found = survey(requested().payload, verdict(Verdict.END), verdict(Verdict.ALLOW))

    assert found.cause_of_end(EndReason.GUARDRAIL) == at(2)


def at(version: int) -> EventId:
    return EventId(UUID(int=version))


def spoken(text: str) -> UtteranceTranscribed:
    return UtteranceTranscribed(
        utterance_id=UtteranceId(uuid4()),
        turn_id=TurnId(uuid4()),
        text=text,
        words=(),
        times="none",
        recogniser="none",
        source="text",
        started_media_ms=0,
        ended_media_ms=0,
    )


def verdict(what: Verdict) -> GuardrailEvaluated:
    return GuardrailEvaluated(
        sentence_id=None,
        scope="input",
        policy_revision="0" * 64,
        verdict=what,
        rule=None,
        evaluated=(),
        candidate="",
    )
