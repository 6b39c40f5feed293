"""A conversation from its request to its seal, on a real Temporal server and a real Postgres."""

from __future__ import annotations

import asyncio
import time
from uuid import uuid4

import pytest
from temporalio.client import WorkflowUpdateFailedError

from domain.conversation.state import Status
from domain.events.catalogue import (
    ConversationEnded,
    ConversationSealed,
    EndReason,
    SentenceCommitted,
    SentenceKind,
)
from domain.ids import ConversationId, ReplyId, SentenceId, TurnId
from domain.mind.emotion import Emotion
from domain.ports import Fact, FactKind
from tests.causes import links, unexplained
from tests.fakes.media_host import FakeMediaHost
from tests.temporal_fixtures import World, eventually


async def _seal(world: World, conversation_id: ConversationId) -> ConversationSealed:
    await world.outcome(conversation_id)
    seal = (await world.events(conversation_id))[-1].payload
    assert isinstance(seal, ConversationSealed)
    return seal


async def test_a_call_is_recorded_from_request_to_seal(running: World, host: FakeMediaHost) -> None:
    conversation_id = await running.start()

    session = await running.live(host, conversation_id)
    assert (await running.status(conversation_id)).status is Status.LIVE
    host.hang_up(session)
    outcome = await running.outcome(conversation_id)

    assert outcome.status is Status.SEALED
    assert outcome.end_reason is EndReason.PARTICIPANT_HUNG_UP
    events = await running.events(conversation_id)
    assert [event.payload.type for event in events] == [
        "conversation.requested",
        "media.assigned",
        "media.connected",
        "conversation.started",
        "conversation.ended",
        "conversation.sealed",
    ]
    assert [event.session_epoch for event in events] == [0, 1, 1, 1, 2, 2]
    requested, assigned, connected, started, ended, sealed = events
    assert assigned.causation_id == requested.event_id
    assert started.causation_id == connected.event_id
    assert sealed.causation_id == ended.event_id
    assert unexplained(links(events)) == []
    assert isinstance(sealed.payload, ConversationSealed)
    assert (sealed.payload.count, sealed.payload.capture, sealed.payload.gaps) == (5, "complete", ())


async def test_the_same_command_twice_ends_once(running: World, host: FakeMediaHost) -> None:
    conversation_id = await running.start()
    await running.live(host, conversation_id)
    command_id = uuid4()

    answers = await asyncio.gather(*(running.end(conversation_id, command_id) for _ in range(2)))
    await running.outcome(conversation_id)

    assert {answer.end_reason for answer in answers} == {EndReason.REQUESTED}
    ends = [e for e in await running.events(conversation_id) if isinstance(e.payload, ConversationEnded)]
    assert [end.causation_id for end in ends] == [command_id]
    assert unexplained(links(await running.events(conversation_id)), commands={command_id}) == []


async def test_a_reason_that_only_the_workflow_can_find_is_refused(running: World) -> None:
    conversation_id = await running.start()

    with pytest.raises(WorkflowUpdateFailedError):
        await running.end(conversation_id, reason=EndReason.IDLE)

    assert (await running.status(conversation_id)).end_reason is None


async def test_the_order_to_drain_reaches_the_session_within_a_second(
    running: World, host: FakeMediaHost
) -> None:
    conversation_id = await running.start()
    session = await running.live(host, conversation_id)

    began = time.monotonic()
    await running.end(conversation_id)
    await asyncio.wait_for(session.drain.wait(), 5)
    took_s = time.monotonic() - began

    assert took_s < 1.5
    assert (await _seal(running, conversation_id)).capture == "complete"


@pytest.mark.slow
async def test_every_timer_ends_its_conversation_for_its_reason(running: World, host: FakeMediaHost) -> None:
    async def absent() -> ConversationId:
        return await running.start(participant_absent_timeout=5)

    async def left() -> ConversationId:
        conversation_id = await running.start(participant_left_timeout=1)
        session = await running.live(host, conversation_id)
        session.report(Fact(FactKind.PARTICIPANT_DISCONNECTED))
        return conversation_id

    async def idle() -> ConversationId:
        conversation_id = await running.start(idle_timeout=10)
        await running.live(host, conversation_id)
        return conversation_id

    async def too_long() -> ConversationId:
        conversation_id = await running.start(max_call_duration=10)
        await running.live(host, conversation_id)
        return conversation_id

    conversations = await asyncio.gather(absent(), left(), idle(), too_long())
    outcomes = await asyncio.gather(*(running.outcome(each) for each in conversations))

    assert [outcome.end_reason for outcome in outcomes] == [
        EndReason.PARTICIPANT_ABSENT,
        EndReason.PARTICIPANT_LEFT,
        EndReason.IDLE,
        EndReason.MAX_CALL_DURATION,
    ]
    for conversation_id in conversations:
        assert unexplained(links(await running.events(conversation_id))) == []


async def test_who_comes_back_in_time_goes_on(running: World, host: FakeMediaHost) -> None:
    conversation_id = await running.start(participant_left_timeout=3)
    session = await running.live(host, conversation_id)

    async def connected() -> bool:
        return (await running.status(conversation_id)).connected

    async def gone() -> bool:
        return not await connected()

    session.report(Fact(FactKind.PARTICIPANT_DISCONNECTED))
    await eventually(gone)
    await host.connect(session)
    await eventually(connected)

    assert (await running.status(conversation_id)).status is Status.LIVE
    assert (await running.types(conversation_id)).count("conversation.started") == 1


async def test_without_a_worker_the_call_waits_and_then_ends(running: World, host: FakeMediaHost) -> None:
    host.places = 0
    waits = await running.start(reassign_timeout=20)
    gives_up = await running.start(reassign_timeout=1)

    assert (await running.outcome(gives_up)).end_reason is EndReason.NO_MEDIA_WORKER
    assert (await running.status(waits)).status is Status.REQUESTED
    assert unexplained(links(await running.events(gives_up))) == []
    host.places = 1

    session = await running.session(host, waits)
    assert session.spec.epoch == 1


async def test_a_session_that_never_drains_is_sealed_as_incomplete(
    running: World, host: FakeMediaHost
) -> None:
    host.stuck = True
    conversation_id = await running.start()
    session = await running.live(host, conversation_id)

    began = time.monotonic()
    await running.end(conversation_id)
    seal = await _seal(running, conversation_id)

    assert (seal.capture, seal.gaps) == ("incomplete", ("not_drained",))
    assert time.monotonic() - began < 8
    await eventually(lambda: session.silenced)


async def test_a_sentence_without_a_fate_and_a_reported_gap_stand_in_the_seal(
    running: World, host: FakeMediaHost
) -> None:
    host.gaps = ("audio_frames:3", "Ada said her name")
    conversation_id = await running.start()
    session = await running.live(host, conversation_id)
    sentence_id = SentenceId(uuid4())
    await host.append(
        session,
        SentenceCommitted(
            sentence_id=sentence_id,
            reply_id=ReplyId(uuid4()),
            turn_id=TurnId(uuid4()),
            index=0,
            kind=SentenceKind.ANSWER,
            text="The excess is 250 euros.",
            emotion=Emotion.NEUTRAL,
        ),
    )

    host.hang_up(session)
    seal = await _seal(running, conversation_id)

    assert seal.capture == "incomplete"
    assert seal.gaps == ("audio_frames:3", "uncoded", f"sentence_without_fate:{sentence_id}")
