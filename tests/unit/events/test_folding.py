"""A conversation is what its events say, in their order, and nothing can be left out."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.conversation.logged import note_all
from domain.conversation.state import Conversation, Status, fold
from domain.events.catalogue import (
    DisclosurePresented,
    MediaConnected,
    MediaDisconnected,
    MediaLost,
    MediaUnavailable,
    ParticipantJoined,
    ParticipantLeft,
    PersonaPublished,
    SentenceCommitted,
    SentenceInterrupted,
    SentenceKind,
    SentencePlayed,
    UnavailableReason,
)
from domain.events.envelope import NewEvent, RecordedEvent
from domain.events.payload import Payload
from domain.ids import ParticipantId, PersonaId, ReplyId, SentenceId, TenantId, TurnId, WorkerId
from domain.mind.emotion import Emotion
from tests.fakes.event_store import InMemoryEventStore
from tests.fakes.events import assigned, ended, new_event, new_stream, requested, said, sealed, started

PERSON = ParticipantId(uuid4())


async def recorded(*batches: tuple[int, list[NewEvent[Payload]]]) -> list[RecordedEvent[Payload]]:
    """Each batch with the epoch that it is appended under."""
    store, tenant, stream = InMemoryEventStore(), TenantId(uuid4()), new_stream()
    for epoch, events in batches:
        await store.append(tenant, stream, events, expected="any", epoch=epoch)
    return await store.read(tenant, stream)


def lost() -> NewEvent[Payload]:
    return new_event(MediaLost(worker_id=WorkerId(uuid4()), reason="heartbeat_timeout"))


def unavailable() -> NewEvent[Payload]:
    return new_event(MediaUnavailable(reason=UnavailableReason.ALL_WORKERS_FULL, waited_ms=1004))


def connected(number: int = 1) -> NewEvent[Payload]:
    return new_event(MediaConnected(participant_id=PERSON, connection=number))


def disconnected() -> NewEvent[Payload]:
    return new_event(MediaDisconnected(participant_id=PERSON, connection=1, reason="lost"))


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], Status.REQUESTED),
        ([assigned()], Status.AWAITING_PARTICIPANT),
        ([assigned(), lost()], Status.REASSIGNING),
        ([assigned(), lost(), assigned()], Status.AWAITING_PARTICIPANT),
        ([unavailable()], Status.REQUESTED),
        ([unavailable(), assigned()], Status.AWAITING_PARTICIPANT),
        ([assigned(), lost(), unavailable()], Status.REASSIGNING),
        ([assigned(), started()], Status.LIVE),
        ([assigned(), started(), lost()], Status.REASSIGNING),
        ([assigned(), started(), lost(), assigned()], Status.LIVE),
        ([assigned(), started(), ended()], Status.WRAPPING_UP),
        # A worker that is lost or assigned while the call is closed does not open it again.
        ([assigned(), started(), ended(), lost()], Status.WRAPPING_UP),
        ([assigned(), started(), ended(), assigned()], Status.WRAPPING_UP),
        ([ended(), sealed(2)], Status.SEALED),
    ],
)
async def test_the_status_follows_the_events(events: list[NewEvent[Payload]], status: Status) -> None:
    state = fold(await recorded((1, [requested(), *events])))

    assert state.status is status
    assert state.version == len(events) + 1


@pytest.mark.parametrize(
    ("events", "waiting"),
    [
        ([unavailable()], True),
        ([assigned(), lost(), unavailable()], True),
        ([unavailable(), assigned()], False),
        # What it waits for now, it was not yet told of.
        ([unavailable(), assigned(), lost()], False),
        ([unavailable(), ended()], False),
        ([ended(), unavailable()], False),
    ],
)
async def test_why_it_waits_is_known_until_a_worker_takes_it_or_it_ends(
    events: list[NewEvent[Payload]], waiting: bool
) -> None:
    state = fold(await recorded((1, [requested(), *events])))

    assert (state.waiting is not None) is waiting
    assert state.waiting in (None, unavailable().payload)


async def test_only_an_assignment_counts_as_one_for_the_workflow_that_reads_the_log() -> None:
    waited = note_all(None, await recorded((0, [requested()]), (1, [unavailable()])))
    taken = note_all(None, await recorded((0, [requested()]), (1, [unavailable(), assigned(), lost()])))

    assert waited is not None
    assert taken is not None
    assert [(each.epoch, each.workers_assigned) for each in (waited, taken)] == [(1, 0), (1, 1)]


async def test_who_is_there_and_since_when() -> None:
    begun = started()
    joined = new_event(ParticipantJoined(participant_id=PERSON))
    told = new_event(DisclosurePresented(sentence_id=SentenceId(uuid4()), language="en"))

    state = fold(await recorded((1, [requested(), assigned(), joined, connected(2), begun, told])))

    assert (state.participant_id, state.connected, state.connections) == (PERSON, True, 2)
    assert (state.started_at, state.disclosed) == (begun.occurred_at, True)


@pytest.mark.parametrize(
    "parting",
    [disconnected(), lost(), new_event(ParticipantLeft(participant_id=PERSON, reason="hung_up"))],
    ids=lambda event: event.payload.type,
)
async def test_the_connection_goes_with_whatever_ends_it(parting: NewEvent[Payload]) -> None:
    assert not fold(await recorded((1, [requested(), assigned(), connected(), parting]))).connected


async def test_the_epoch_and_the_timeline_never_run_backwards() -> None:
    late = said().model_copy(update={"media_ms": 700})
    early = said().model_copy(update={"media_ms": 300})

    state = fold(await recorded((0, [requested()]), (1, [late]), (2, [early])))

    assert (state.epoch, state.media_ms) == (2, 700)


async def test_only_played_words_are_said() -> None:
    turn, reply = TurnId(uuid4()), ReplyId(uuid4())
    ids = [SentenceId(uuid4()) for _ in range(4)]
    committed = [
        new_event(
            SentenceCommitted(
                sentence_id=sentence_id,
                reply_id=reply,
                turn_id=turn,
                index=index,
                kind=SentenceKind.ANSWER,
                text=f"sentence number {index}",
                emotion=Emotion.NEUTRAL,
            )
        )
        for index, sentence_id in enumerate(ids)
    ]
    fates = [
        new_event(SentencePlayed(sentence_id=ids[0], started_media_ms=0, played_ms=900)),
        new_event(
            SentenceInterrupted(
                sentence_id=ids[1],
                started_media_ms=900,
                played_ms=300,
                played_text="sentence",
                cause="barge_in",
            )
        ),
        new_event(
            SentenceInterrupted(
                sentence_id=ids[2], started_media_ms=None, played_ms=0, played_text="", cause="barge_in"
            )
        ),
    ]

    state = fold(await recorded((1, [requested(), *committed, *fates])))

    assert [line.text for line in state.transcript.said()] == ["sentence number 0", "sentence"]
    [turn_of_persona] = state.transcript.turns()
    assert turn_of_persona.played_text == "sentence number 0 sentence"
    assert turn_of_persona.interrupted


async def test_a_gap_is_refused() -> None:
    events = await recorded((1, [requested(), assigned(), started()]))

    with pytest.raises(ValueError, match="version 3 does not follow 1"):
        fold([events[0], events[2]])
    with pytest.raises(ValueError, match="version 2 does not follow 0"):
        fold(events[1:])


async def test_an_event_of_another_kind_of_stream_is_refused() -> None:
    stray = new_event(
        PersonaPublished(
            persona_id=PersonaId(uuid4()),
            revision=1,
            content_sha256="0" * 64,
            policy_revision="0" * 64,
            knowledge_revision="0" * 64,
        )
    )

    with pytest.raises(TypeError, match=r"persona\.published"):
        fold(await recorded((0, [stray])))


@given(cut=st.integers(0, 7))
async def test_folding_in_two_steps_is_folding_in_one(cut: int) -> None:
    events = await recorded(
        (0, [requested()]), (1, [assigned(), connected(), started(), said()]), (2, [ended(), sealed(6)])
    )

    assert fold(events[cut:], fold(events[:cut])) == fold(events)
    assert fold([]) == Conversation()
