"""A live session over real WebRTC: what is heard is what stands in the record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np

from domain.events.catalogue import (
    DisclosurePresented,
    GuardrailEvaluated,
    ParticipantLeft,
    RecordingSegmentSealed,
    SentenceCommitted,
    SentenceInterrupted,
    SentencePlayed,
    UtteranceTranscribed,
)
from domain.ids import TenantId
from domain.ports import EventStore, FactKind
from tests.media.session.rig import Models, live_call

Speak = Callable[[str], np.ndarray]


async def test_a_question_is_heard_answered_and_recorded(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path, speak: Speak
) -> None:
    # Given a caller who has heard the disclosure and the greeting
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        await call.join()
        await call.caller.until(lambda: call.caller.states()[-2:] == ["speaking", "listening"])

        # When they ask, and the answer has been heard
        call.caller.voice.say(speak("How long does it take to handle a claim?"))
        await call.caller.until(lambda: call.caller.states()[-3:] == ["thinking", "speaking", "listening"])
        drained = await call.end()

        # Then the record holds their words, the verdict before each sentence, and what was played
        events = await call.events()
        assert drained.gaps == ()
        assert drained.last_version == events[-1].version
        (utterance,) = await call.of(UtteranceTranscribed)
        assert "claim" in utterance.text.lower()
        assert utterance.times == "aligned"
        assert [word.w for word in utterance.words] == utterance.text.split()
        committed = await call.of(SentenceCommitted)
        played = await call.of(SentencePlayed)
        assert [s.text for s in committed] == [
            "You are speaking with an AI.",
            "Hello, how can I help?",
            "Your claim is handled within five days.",
        ]
        assert [p.sentence_id for p in played] == [c.sentence_id for c in committed]
        assert len(await call.of(DisclosurePresented)) == 1
        order = [type(event.payload) for event in events]
        for sentence in committed:
            at = next(k for k, e in enumerate(events) if e.payload == sentence)
            assert order[at - 1] is GuardrailEvaluated
            assert order.index(SentencePlayed) > 0
        # And both sides' recordings are sealed
        assert {s.track.value for s in await call.of(RecordingSegmentSealed)} == {
            "participant_audio",
            "persona_audio",
            "persona_video",
        }
        # And the prompt holds what was played before, and nothing else
        (prompt,) = call.answerer.prompts
        assert [text for _, text in prompt.said] == ["You are speaking with an AI.", "Hello, how can I help?"]
        assert prompt.question == utterance.text


async def test_an_interruption_silences_the_persona_and_keeps_exactly_what_was_played(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path, speak: Speak
) -> None:
    # Given a persona in the middle of a long answer
    long = "First we look at the report, then at the photographs, and then at every receipt that you sent us."
    async with live_call(models, event_store, tenant_id, tmp_path, lines=[long, "Yes."]) as call:
        await call.join()
        await call.caller.until(lambda: call.caller.states()[-2:] == ["speaking", "listening"])
        call.caller.voice.say(speak("What happens to my claim?"))
        await call.caller.until(lambda: call.caller.states()[-2:] == ["thinking", "speaking"])
        began_s = asyncio.get_running_loop().time()
        await call.caller.until(lambda: len(call.caller.loud_since(began_s)) > 50)

        # When the caller speaks up, and is answered
        call.caller.voice.say(speak("Sorry, one question: is it free?"))
        await call.caller.until(lambda: any(m["type"] == "interrupted" for m in call.caller.messages), 5)
        await call.caller.until(lambda: call.caller.states()[-1] == "thinking")
        await call.caller.until(lambda: call.caller.states()[-3:] == ["thinking", "speaking", "listening"])
        await call.end()

        # Then the two questions are two turns
        assert len({asked.turn_id for asked in await call.of(UtteranceTranscribed)}) == 2
        # And the sentence is recorded with the words that were played, and the next prompt holds only those
        (cut,) = [s for s in await call.of(SentenceInterrupted) if s.cause == "barge_in"]
        assert cut.played_text
        assert cut.played_text != long
        assert long.startswith(cut.played_text)
        assert [w.w for w in cut.words] == cut.played_text.split()
        said = [text for _, text in call.answerer.prompts[-1].said]
        assert cut.played_text in said
        assert long not in said


async def test_hanging_up_ends_the_call_at_once_and_says_so(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a connected caller, when they hang up in mid-sentence
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        await call.join()
        await call.caller.until(lambda: "speaking" in call.caller.states())
        call.caller.tell({"type": "hang_up"})
        await call.caller.until(lambda: call.caller.states()[-1] == "ended", 3)
        await call.end()

        # Then the workflow is told, and the cut sentence and the leaving stand in the record
        assert FactKind.END_WANTED in [fact.kind for fact in call.facts]
        assert [left.reason for left in await call.of(ParticipantLeft)] == ["hung_up"]
        assert {cut.cause for cut in await call.of(SentenceInterrupted)} <= {"ended", "withdrawn"}


async def test_typed_text_is_answered_and_marked_as_text(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a caller without a microphone to speak of, when they write
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        await call.join()
        await call.caller.until(lambda: call.caller.states()[-2:] == ["speaking", "listening"])
        call.caller.tell({"type": "text", "text": "How long does it take?"})
        await call.caller.until(lambda: call.caller.states()[-3:] == ["thinking", "speaking", "listening"])
        await call.end()

        # Then their words are in the record as text, not as speech
        (written,) = await call.of(UtteranceTranscribed)
        assert (written.source, written.text, written.times) == ("text", "How long does it take?", "none")
