"""The laws of the real-time loop, broken on purpose: no store, no connection, no ownership."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from aiortc import VideoStreamTrack

from domain.conversation.properties import ConversationProperties
from domain.errors import StaleEpoch
from domain.events.catalogue import (
    DisclosurePresented,
    FloorChanged,
    FloorState,
    GuardrailEvaluated,
    HandoffRequested,
    MediaConnected,
    MediaDisconnected,
    RecordingSegmentSealed,
    ReplyGenerated,
    SentenceCommitted,
    SentenceInterrupted,
    SentencePlayed,
    SentenceSynthesised,
    UtteranceTranscribed,
    Verdict,
)
from domain.ids import ParticipantId, TenantId, conversation_stream
from domain.mind.emotion import Emotion
from domain.mind.mood import CONCERNED
from domain.ports import EventStore, Offer
from media.errors import AnotherParticipant, BadOffer, TooManyOffers
from media.hearing.ear import HeardTurn
from tests.causes import links, unexplained
from tests.media.session.rig import Breakable, Caller, Models, live_call, new_event, offer_of, persona

Speak = Callable[[str], np.ndarray]


async def test_without_the_store_frames_go_on_and_nothing_unrecorded_is_heard(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a caller who has heard the greeting
    store = Breakable(event_store)
    async with live_call(models, store, tenant_id, tmp_path) as call:
        await call.join()
        await call.caller.until(lambda: call.caller.states()[-2:] == ["speaking", "listening"])

        # When the store goes away for three seconds and a question is asked meanwhile
        loop = asyncio.get_running_loop()
        store.away, gone_s = True, loop.time()
        call.caller.tell({"type": "text", "text": "How long does it take?"})
        await asyncio.sleep(3)
        back_s, store.away = loop.time(), False
        await call.caller.until(lambda: call.caller.states()[-3:] == ["thinking", "speaking", "listening"])
        await call.end()

        # Then sound and pictures went on without a hole, in silence
        sound = [t for t, _ in call.caller.heard if gone_s <= t <= back_s]
        pictures = [t for t in call.caller.pictures_at if gone_s <= t <= back_s]
        assert len(sound) > 130
        assert len(pictures) > 60
        assert [t for t in call.caller.loud_since(gone_s + 0.2) if t < back_s] == []
        # And the answer was spoken when it was durable, and not before
        answer = "Your claim is handled within five days."
        assert call.caller.loud_since(back_s)[0] > store.durable_s[answer] >= back_s
        assert answer in [s.text for s in await call.of(SentenceCommitted)]
        assert len(await call.of(SentencePlayed)) == 3


async def test_a_sentence_is_durable_with_its_verdict_before_its_first_sound(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a call whose first sentence is the disclosure
    store = Breakable(event_store)
    async with live_call(models, store, tenant_id, tmp_path) as call:
        await call.join()
        await call.caller.until(lambda: bool(call.caller.loud_since(0)))

        # Then the record had it before a sound of it was received, and its verdict stands before it
        assert store.durable_s["You are speaking with an AI."] < call.caller.loud_since(0)[0]
        await call.end()
        events = [event.payload for event in await call.events()]
        first = next(k for k, payload in enumerate(events) if isinstance(payload, SentenceCommitted))
        verdict = events[first - 1]
        assert isinstance(verdict, GuardrailEvaluated)
        assert (verdict.verdict, verdict.candidate) == (Verdict.ALLOW, "You are speaking with an AI.")


async def test_what_the_policy_stops_is_not_heard_and_its_verdict_is_recorded(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a rule against promises, and an answer that makes one
    published = persona(
        guardrails=[
            {
                "guardrail_name": "no_promise",
                "scope": "output",
                "test": {"kind": "pattern", "any_of": [r"\bwe will pay\b"]},
                "verdict": "refuse",
                "say": "I can't promise a payment.",
            }
        ]
    )
    lines = ["We have your report. We will pay you on Monday. And that is certain."]
    async with live_call(models, event_store, tenant_id, tmp_path, lines=lines, published=published) as call:
        await call.join()
        await call.caller.until(lambda: call.caller.states()[-2:] == ["speaking", "listening"])

        # When the question is asked
        call.caller.tell({"type": "text", "text": "Will you pay?"})
        await call.caller.until(lambda: call.caller.states()[-3:] == ["thinking", "speaking", "listening"])
        await call.end()

        # Then what is said in its place is, and nothing after it
        said = [s.text for s in await call.of(SentenceCommitted)][2:]
        assert said == ["We have your report.", "I can't promise a payment."]
        stopped = [v for v in await call.of(GuardrailEvaluated) if v.verdict is Verdict.REFUSE]
        assert [(v.rule, v.candidate) for v in stopped] == [("no_promise", "We will pay you on Monday.")]
        assert [r.finish for r in await call.of(ReplyGenerated)] == ["stopped_by_policy"]


async def test_a_person_who_is_needed_is_noted_first_and_told_of_it_with_care(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a policy that calls for a person
    rule = {
        "guardrail_name": "danger",
        "scope": "input",
        "test": {"kind": "pattern", "any_of": [r"\bfire\b"]},
        "verdict": "escalate",
        "say": "Please call 999 now. I've noted that you need a person.",
    }
    published = persona(guardrails=[rule])
    async with live_call(models, event_store, tenant_id, tmp_path, published=published) as call:
        await call.join()
        await call.caller.until(lambda: call.caller.states()[-2:] == ["speaking", "listening"])

        # When somebody in danger writes
        call.caller.tell({"type": "text", "text": "There is a fire!"})
        await call.caller.until(lambda: call.live()._expression().emotion is Emotion.SCARED)
        shown = call.live()._expression()
        await call.caller.until(lambda: call.caller.states()[-3:] == ["thinking", "speaking", "listening"])
        await call.end()

    # Then the need stands in the record before the sentence that says so
    facts = [event.payload for event in await call.events()]
    noted = [fact for fact in facts if isinstance(fact, HandoffRequested | SentenceCommitted)]
    assert [getattr(payload, "kind", "noted") for payload in noted[2:]] == ["noted", "handover", "handover"]
    # And the sentences carry the care that the face shows, a little of it
    said = [fact for fact in facts if isinstance(fact, SentenceCommitted)]
    assert [s.emotion for s in said] == [Emotion.NEUTRAL, Emotion.CONTENT, Emotion.SCARED, Emotion.SAD]
    assert (shown.emotion, shown.strength, shown.speaking) == (*CONCERNED, True)


async def test_a_caller_who_reconnects_goes_on_with_the_same_session(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a caller whose connection breaks while the persona speaks
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        await call.join()
        await call.caller.until(lambda: "speaking" in call.caller.states())
        await call.caller.close()

        # When they come back by a new connection
        again = Caller()
        await call.join(again)
        again.tell({"type": "text", "text": "Are you still there?"})
        await again.until(lambda: again.states()[-2:] == ["speaking", "listening"], 20)
        await call.end()
        await again.close()

        # Then both connections stand in the record, nobody joined twice, and every sentence has one fate
        assert [c.connection for c in await call.of(MediaConnected)] == [1, 2]
        assert [d.connection for d in await call.of(MediaDisconnected)][:1] == [1]
        fates = [
            *[p.sentence_id for p in await call.of(SentencePlayed)],
            *[i.sentence_id for i in await call.of(SentenceInterrupted)],
        ]
        assert sorted(fates) == sorted(s.sentence_id for s in await call.of(SentenceCommitted))


async def test_a_camera_is_not_received_while_nothing_looks_at_it(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a caller who offers their camera, when the call stands
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        call.caller.connection.addTrack(VideoStreamTrack())
        await call.join()
        await call.caller.until(lambda: len(call.caller.pictures_at) > 5)

        # Then pictures come and none may go
        sending = [
            transceiver.currentDirection
            for transceiver in call.caller.connection.getTransceivers()
            if transceiver.kind == "video"
        ]
        assert sending
        assert all(direction in ("recvonly", "inactive") for direction in sending)
        await call.end()


async def test_a_second_participant_is_refused_with_a_sentence(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a call that has its participant, when another one offers, then it is refused
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        await call.join()
        with pytest.raises(AnotherParticipant, match="only one can"):
            await call.worker.offer(call.conversation_id, Offer(ParticipantId(uuid4()), "v=0"))


async def test_an_offer_that_is_none_is_refused_with_a_sentence(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a session that waits, when something else than SDP comes, then the sentence says so
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        whole = await offer_of()
        halves = [
            "\r\n".join(line for line in whole.split("\r\n") if not line.startswith(missing))
            for missing in ("m=audio", "a=mid", "a=setup", "a=ice", "a=fingerprint", "m=application")
        ]
        for sdp in ("hello", "v=0\r\n", "m=audio"):
            with pytest.raises(BadOffer):
                await call.worker.offer(call.conversation_id, Offer(call.participant_id, sdp))
        # And half an offer is answered, or refused in the same way, but never anything else
        for sdp in halves:
            with suppress(BadOffer, TooManyOffers):
                assert "v=0" in await call.worker.offer(call.conversation_id, Offer(call.participant_id, sdp))


async def test_a_session_that_lost_its_ownership_falls_silent_and_writes_nothing(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a call in mid-sentence, when a later epoch takes it over
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        await call.join()
        await call.caller.until(lambda: "speaking" in call.caller.states())
        stream = conversation_stream(call.conversation_id)
        taken = new_event(FloorChanged(state=FloorState.LISTENING, reason="taken"))
        await event_store.append(tenant_id, stream, [taken], expected="any", epoch=2)

        # Then at its next fact the session ends, and nothing of it stands after the takeover
        with pytest.raises(StaleEpoch):
            async with asyncio.timeout(10):
                await call.session
        assert (await call.events())[-1].event_id == taken.event_id


async def test_a_call_without_recording_and_without_video_has_neither(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a call that is only sound and is not to be recorded
    properties = ConversationProperties(enable_recording=False, audio_only=True)
    async with live_call(models, event_store, tenant_id, tmp_path, properties=properties) as call:
        await call.join()
        await call.caller.until(lambda: call.caller.states()[-2:] == ["speaking", "listening"])
        drained = await call.end()

        # Then no picture was sent, and the capture has no gap
        assert call.caller.pictures_at == []
        assert drained.gaps == ()
        assert await call.of(RecordingSegmentSealed) == []


def no_words(at_ms: int) -> HeardTurn:
    """What the ear makes of a cough."""
    return HeardTurn("", (), "estimated", "tests", at_ms, at_ms, 0.0, 0.0)


async def test_a_cough_takes_nothing_back_for_good(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a store that is slow enough for a cough to fall between a question and its answer
    store = Breakable(event_store)
    async with live_call(models, store, tenant_id, tmp_path) as call:
        dialogue = call.dialogue()

        # When the caller coughs before the disclosure is heard
        store.away = True
        await call.join()
        await asyncio.sleep(0.2)
        dialogue.voice_began(0)
        store.away = False
        dialogue.turn_ended(no_words(0))
        await call.caller.until(lambda: call.caller.states()[-2:] == ["speaking", "listening"])
        # And again while the answer is being made
        store.away = True
        call.caller.tell({"type": "text", "text": "How long does it take?"})
        await call.caller.until(lambda: call.caller.states()[-1] == "thinking")
        dialogue.voice_began(0)
        store.away = False
        dialogue.turn_ended(no_words(0))
        await call.caller.until(lambda: call.caller.states()[-3:] == ["thinking", "speaking", "listening"])
        await call.end()

        # Then both were said after all
        played = {p.sentence_id for p in await call.of(SentencePlayed)}
        texts = [s.text for s in await call.of(SentenceCommitted) if s.sentence_id in played]
        assert texts == [
            "You are speaking with an AI.",
            "Hello, how can I help?",
            "Your claim is handled within five days.",
        ]


async def test_a_disclosure_that_was_cut_in_its_second_sentence_is_said_again(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a disclosure of two sentences
    first, second = (
        "You are speaking with an AI.",
        "This call is recorded, and kept for as long as the law asks.",
    )
    published = persona(disclosure=f"{first} {second}")
    async with live_call(models, event_store, tenant_id, tmp_path, published=published) as call:
        await call.join()

        # When the caller writes in the middle of the second
        captions = call.caller.captions
        await call.caller.until(lambda: second in captions())
        await asyncio.sleep(0.5)
        call.caller.tell({"type": "text", "text": "How long does it take?"})
        await call.caller.until(lambda: "Your claim is handled within five days." in captions(), 30)
        await call.end()

        # Then it was presented once, when it had been said whole, and before the answer
        events = [event.payload for event in await call.events()]
        (presented,) = [k for k, payload in enumerate(events) if isinstance(payload, DisclosurePresented)]
        committed = [payload.text for payload in events[:presented] if isinstance(payload, SentenceCommitted)]
        assert committed.count(second) == 2


async def test_every_fact_of_a_sentence_names_the_event_that_committed_it(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a greeting that was played
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        await call.join()
        await call.caller.until(lambda: call.caller.states()[-2:] == ["speaking", "listening"])
        await call.end()

        # Then what became of each sentence follows from its commitment
        events = await call.events()
        committed = {
            event.payload.sentence_id: event.event_id
            for event in events
            if isinstance(event.payload, SentenceCommitted)
        }
        followed = {
            (event.causation_id, event.payload.sentence_id)
            for event in events
            if isinstance(event.payload, SentenceSynthesised | SentencePlayed)
        }
        assert followed == {(event_id, sentence_id) for sentence_id, event_id in committed.items()}


async def test_a_turn_in_parts_is_one_turn_and_one_question(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a caller who has heard the greeting
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        await call.join()
        await call.caller.until(lambda: call.caller.states()[-2:] == ["speaking", "listening"])

        # When they say more than one utterance can hold, and nothing after its last part
        dialogue = call.dialogue()
        dialogue.voice_began(0)
        dialogue.part_heard(words("The pipe burst."))
        dialogue.part_heard(words("Then the boiler stood in water."))
        assert call.answerer.prompts == []
        dialogue.turn_ended(words(""))
        await call.caller.until(
            lambda: call.caller.states()[-3:] == ["thinking", "speaking", "listening"], 20
        )
        await call.end()

        # Then both parts stand in the record as one turn, and were answered once, together
        parts = await call.of(UtteranceTranscribed)
        assert [part.text for part in parts] == ["The pipe burst.", "Then the boiler stood in water."]
        assert len({part.turn_id for part in parts}) == 1
        assert [p.question for p in call.answerer.prompts] == [
            "The pipe burst. Then the boiler stood in water."
        ]
        assert unexplained(links(await call.events())) == []


def words(text: str) -> HeardTurn:
    return HeardTurn(text, (), "none", "scripted", 0, 100, 0.0, 0.0)
