"""A sentence on its way to the listener: judged, committed, synthesised, played, in that order of facts.

Nothing unrecorded is spoken: a sentence enters the playout only after it and the verdict that allowed it
are durable. Synthesis does not wait for that, since what is synthesised and never played was never said.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Literal, Protocol

from domain.events.catalogue import (
    DisclosurePresented,
    GuardrailEvaluated,
    HandoffRequested,
    SentenceCommitted,
    SentenceInterrupted,
    SentenceKind,
    SentencePlayed,
    SentenceSynthesised,
    SpokenSpan,
    Verdict,
)
from domain.events.envelope import Actor
from domain.events.payload import Payload
from domain.ids import EventId, ReplyId, SentenceId, TurnId
from domain.mind.emotion import Emotion
from domain.mind.gate import Gate, GateState, Judgement
from domain.mind.mood import Mood, emotion_of
from domain.speech import SpokenWord, SynthesisedSentence, Voice
from media.clock import MediaClock
from media.scribe import Entered, Scribe
from media.speaking.face import MouthTrack
from media.speaking.playout import Playout, SentenceEnded, SentenceStarted

InterruptionCause = Literal["barge_in", "ended", "connection_lost", "withdrawn"]


class Synthesiser(Protocol):
    @property
    def name(self) -> str: ...

    def synthesise(
        self, text: str, *, voice: Voice, emotion: Emotion, strength: float
    ) -> SynthesisedSentence: ...


@dataclass(frozen=True, slots=True)
class Draft:
    """A sentence that the persona would like to say."""

    text: str
    kind: SentenceKind
    reply_id: ReplyId
    turn_id: TurnId
    index: int
    # Whether this is the last sentence of its text: with it, a disclosure has been presented.
    last: bool = True
    # Whether it says that the persona does not know, or could not answer.
    owned_up: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What became of a draft. Milliseconds; `judgement.verdict` says whether the reply may go on, and
    `evaluated` is the event that holds it."""

    judgement: Judgement
    evaluated: EventId
    sentence_id: SentenceId | None
    gate_and_commit_ms: float
    synthesis_ms: float


@dataclass(frozen=True, slots=True)
class _InPlay:
    draft: Draft
    mood: Mood
    committed: SentenceCommitted
    event_id: EventId
    synthesised: EventId
    speech: SynthesisedSentence
    mouth: MouthTrack


@dataclass(frozen=True, slots=True)
class Mouthing:
    """The sentence that is being played, for the face."""

    mouth: MouthTrack
    at_s: float
    mood: Mood


class Speaker:
    """`mint` makes ids; `audible` is told of each sentence when its first packet goes out, with the event of
    its synthesis."""

    def __init__(
        self,
        *,
        scribe: Scribe,
        gate: Gate,
        synthesiser: Synthesiser,
        thread: Executor,
        voice: Voice,
        clock: MediaClock,
        policy_revision: str,
        language: str,
        mint: Callable[[], EventId],
        audible: Callable[[SentenceCommitted, EventId], None],
        disclosed: bool,
        persona: Actor,
    ) -> None:
        self._scribe, self._gate, self._synthesiser = scribe, gate, synthesiser
        self._thread, self._voice, self._clock = thread, voice, clock
        self._policy_revision, self._language = policy_revision, language
        self._mint, self._audible = mint, audible
        self._playout = Playout()
        self._in_play: dict[SentenceId, _InPlay] = {}
        self._started_ms: dict[SentenceId, int] = {}
        self._heard = False
        self._persona = persona
        self.disclosed = disclosed

    @property
    def speaking(self) -> bool:
        """Whether anything of the persona's is being played or waits to be."""
        return bool(self._in_play)

    @property
    def audible_now(self) -> bool:
        """Whether the persona is being heard: something has gone out, and more of it is to come. The breath
        between two sentences counts, since the second one waits already."""
        return self._heard and bool(self._in_play)

    def mouthing(self) -> Mouthing | None:
        at = self._playout.position()
        if at is None or (now := self._in_play.get(at.sentence_id)) is None:
            return None
        return Mouthing(now.mouth, at.played_ms / 1000, now.mood)

    def judge_input(self, text: str, *, turn_id: TurnId, cause: EventId | None) -> tuple[Judgement, EventId]:
        """What the policy says of the person's words, and the event that holds the verdict."""
        judgement = self._gate.judge(text, scope="input")
        evaluated = self._evaluated(judgement, text, "input", None)
        return judgement, self._scribe.note(evaluated, turn_id=turn_id, cause=cause)

    def hand_over(self, rule: str, turn_id: TurnId, cause: EventId) -> None:
        """Notes that a person is needed, by the verdict `cause`. Nobody is called by it."""
        self._scribe.note(HandoffRequested(rule=rule, turn_id=turn_id), turn_id=turn_id, cause=cause)

    async def say(self, draft: Draft, *, before: GateState, cause: EventId | None) -> Said:
        """Returns when the sentence waits to be played, or was stopped without a word in its place.

        Cancelled in between, a sentence that was committed is recorded as withdrawn, with nothing played.
        """
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        judgement = self._gate.judge(draft.text, scope="output", state=before)
        sentence_id = SentenceId(self._mint())
        text = judgement.text_to_say
        events: list[Payload] = [self._evaluated(judgement, draft.text, "output", sentence_id)]
        if judgement.verdict is Verdict.ESCALATE:
            events.append(HandoffRequested(rule=judgement.rule or "", turn_id=draft.turn_id))
        if text is None:
            evaluated, *_ = await self._scribe.commit(events, turn_id=draft.turn_id, cause=cause)
            return Said(judgement, evaluated, None, _ms(loop.time() - began_s), 0.0)
        mood = emotion_of(draft.kind, text, judgement.verdict, owned_up=draft.owned_up)
        committed = _committed(draft, judgement, sentence_id, text, mood.emotion)
        events.append(committed)
        entered = self._scribe.enter(
            events,
            turn_id=draft.turn_id,
            cause=cause,
            media_ms=self._clock.now_ms(),
            actor=self._persona,
        )
        event_id = entered.event_ids[-1]
        try:
            # Both go on at once; what is synthesised and then not allowed to be spoken is thrown away.
            async with asyncio.TaskGroup() as tasks:
                committing = tasks.create_task(self._timed(entered))
                making = tasks.create_task(self._synthesise(text, mood))
            committed_s, (speech, mouth, made_s) = committing.result(), making.result()
            synthesised = self._note_synthesis(sentence_id, speech, draft.turn_id, event_id)
            await self._playout.space()
            self._in_play[sentence_id] = _InPlay(draft, mood, committed, event_id, synthesised, speech, mouth)
            self._playout.enqueue(sentence_id, text, speech)
        except BaseException:
            if sentence_id not in self._in_play:
                self._withdraw(sentence_id, draft.turn_id, event_id)
            raise
        gate_ms = _ms(committed_s - began_s)
        synthesis_ms = max(0.0, _ms(made_s - began_s) - gate_ms)
        return Said(judgement, entered.event_ids[0], sentence_id, gate_ms, synthesis_ms)

    def next_frame(self) -> bytes:
        """Twenty milliseconds of 48 kHz mono PCM16 for the transport; notes what has thereby been played."""
        frame = self._playout.next_frame()
        self._settle("ended")
        return frame

    def interrupt(self, cause: InterruptionCause) -> None:
        """Silence from the next frame on. What waits is recorded with what was played of it."""
        self._playout.interrupt()
        self._settle(cause)

    async def finished(self) -> None:
        """Waits until nothing is played or waits to be."""
        await self._playout.empty()

    async def _timed(self, entered: Entered) -> float:
        """When the sentence was durable."""
        await entered.durable
        return asyncio.get_running_loop().time()

    async def _synthesise(self, text: str, mood: Mood) -> tuple[SynthesisedSentence, MouthTrack, float]:
        loop = asyncio.get_running_loop()

        def make() -> tuple[SynthesisedSentence, MouthTrack]:
            speech = self._synthesiser.synthesise(
                text, voice=self._voice, emotion=mood.emotion, strength=mood.strength
            )
            return speech, MouthTrack(speech.sounds)

        speech, mouth = await loop.run_in_executor(self._thread, make)
        return speech, mouth, loop.time()

    def _note_synthesis(
        self, sentence_id: SentenceId, speech: SynthesisedSentence, turn_id: TurnId, cause: EventId
    ) -> EventId:
        return self._scribe.note(
            SentenceSynthesised(
                sentence_id=sentence_id,
                voice=f"{self._synthesiser.name}/{self._voice.name}",
                duration_ms=speech.duration_ms,
                audio_sha256=hashlib.sha256(speech.pcm16).hexdigest(),
            ),
            turn_id=turn_id,
            cause=cause,
        )

    def _withdraw(self, sentence_id: SentenceId, turn_id: TurnId, committed: EventId) -> None:
        nothing = SentenceInterrupted(
            sentence_id=sentence_id,
            started_media_ms=None,
            played_ms=0,
            played_text="",
            cause="withdrawn",
        )
        self._scribe.note(nothing, turn_id=turn_id, cause=committed, media_ms=self._clock.now_ms())

    def _settle(self, cause: InterruptionCause) -> None:
        """Turns what the playout did into facts of the record."""
        for event in self._playout.events():
            match event:
                case SentenceStarted():
                    self._heard = True
                    self._started_ms[event.sentence_id] = self._clock.now_ms()
                    in_play = self._in_play[event.sentence_id]
                    self._audible(in_play.committed, in_play.synthesised)
                case SentenceEnded():
                    self._end(event, cause)

    def _end(self, event: SentenceEnded, cause: InterruptionCause) -> None:
        in_play = self._in_play.pop(event.sentence_id)
        self._heard = self._heard and bool(self._in_play)
        started_ms = self._started_ms.pop(event.sentence_id, None)
        words = _on_timeline(event.words, started_ms or 0)
        payload: SentencePlayed | SentenceInterrupted
        if event.complete:
            payload = SentencePlayed(
                sentence_id=event.sentence_id,
                started_media_ms=started_ms or 0,
                played_ms=event.played_ms,
                words=words,
            )
        else:
            payload = SentenceInterrupted(
                sentence_id=event.sentence_id,
                started_media_ms=started_ms,
                played_ms=event.played_ms,
                played_text=event.played_text,
                words=words,
                cause=cause,
            )
        turn_id, now_ms = in_play.draft.turn_id, self._clock.now_ms()
        ended = self._scribe.note(
            payload, turn_id=turn_id, cause=in_play.event_id, media_ms=now_ms, actor=self._persona
        )
        disclosure = in_play.committed.kind is SentenceKind.DISCLOSURE and in_play.draft.last
        if disclosure and event.complete:
            self.disclosed = True
            told = DisclosurePresented(sentence_id=event.sentence_id, language=self._language)
            self._scribe.note(told, turn_id=turn_id, cause=ended, media_ms=now_ms)

    def _evaluated(
        self,
        judgement: Judgement,
        candidate: str,
        scope: Literal["input", "output"],
        sentence_id: SentenceId | None,
    ) -> GuardrailEvaluated:
        return GuardrailEvaluated(
            sentence_id=sentence_id,
            scope=scope,
            policy_revision=self._policy_revision,
            verdict=judgement.verdict,
            rule=judgement.rule,
            evaluated=judgement.evaluated,
            candidate=candidate,
            failed=judgement.failed,
        )


def _committed(
    draft: Draft, judgement: Judgement, sentence_id: SentenceId, text: str, emotion: Emotion
) -> SentenceCommitted:
    kind = draft.kind
    if judgement.verdict is Verdict.ESCALATE:
        kind = SentenceKind.HANDOVER
    elif judgement.verdict not in (Verdict.ALLOW, Verdict.REDACT):
        kind = SentenceKind.REFUSAL
    return SentenceCommitted(
        sentence_id=sentence_id,
        reply_id=draft.reply_id,
        turn_id=draft.turn_id,
        index=draft.index,
        kind=kind,
        text=text,
        emotion=emotion,
    )


def _on_timeline(words: tuple[SpokenWord, ...], start_ms: int) -> tuple[SpokenSpan, ...]:
    return tuple(
        SpokenSpan(w=word.w, start_ms=start_ms + word.start_ms, end_ms=start_ms + word.end_ms)
        for word in words
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
