"""Who speaks when: what the ear hears becomes turns, and turns become replies that can be stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Literal

from domain.conversation.transcript import Role, Transcript
from domain.events.catalogue import (
    EndReason,
    FloorChanged,
    FloorState,
    HeardWord,
    SentenceCommitted,
    SentenceInterrupted,
    SentencePlayed,
    UtteranceTranscribed,
)
from domain.events.envelope import Actor, NewEvent
from domain.events.payload import Payload
from domain.ids import EventId, TurnId, UtteranceId
from domain.ports import Fact, FactKind
from media.brain import Asked, Brain, Stages
from media.clock import MediaClock
from media.hearing.ear import HeardTurn
from media.page import Page
from media.scribe import Scribe
from media.speaking.speaker import InterruptionCause, Speaker

# How often the workflow is told that the conversation is alive, at most.
ACTIVITY_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class _Opening:
    """The disclosure and the greeting, for who came with this connection."""

    connected: EventId


class Dialogue:
    """One conversation's turns. At most one reply is made at a time; a newer turn stops the older one.

    `start` runs a coroutine in the session's task group; `participant` is who speaks to the persona.
    """

    def __init__(
        self,
        *,
        transcript: Transcript,
        scribe: Scribe,
        speaker: Speaker,
        page: Page,
        clock: MediaClock,
        mint: Callable[[], EventId],
        start: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
        report: Callable[[Fact], None],
        participant: Callable[[], Actor],
        nod: Callable[[], None],
        raise_brows: Callable[[], None],
    ) -> None:
        self._transcript, self._scribe, self._speaker = transcript, scribe, speaker
        self._page, self._clock, self._mint = page, clock, mint
        self._start, self._report, self._participant = start, report, participant
        self._nod, self._raise_brows = nod, raise_brows
        self._reply: asyncio.Task[None] | None = None
        self._turn_id: TurnId | None = None
        self._heard: HeardTurn | None = None
        self._floor = FloorState.LISTENING
        # What left the floor as it is: the connection at first, then each change of it.
        self._floor_since: EventId | None = None
        # The change of the floor with which the participant's latest turn began.
        self._turn_since: EventId | None = None
        self._connected: EventId | None = None
        # What of the present turn was taken down before its end, and is not answered yet.
        self._part: EventId | None = None
        self._active_s: float | None = None
        self._over = False
        # What a reply is being made for, and what one was taken back for when a sound came: should the sound
        # hold no words, it is made again.
        self._making: Asked | _Opening | None = None
        self._taken_back: Asked | _Opening | None = None
        self.brain: Brain | None = None

    @property
    def floor(self) -> FloorState:
        return self._floor

    # --- what happens ----------------------------------------------------------------------------------
    def open(self, connected: EventId) -> None:
        """The participant is here, as the event `connected` says: disclosure and greeting, unless they were
        played before."""
        self._connected = self._floor_since = connected
        greeted = any(line.role is Role.PERSONA and line.played for line in self._transcript.lines)
        if self.brain is not None and not (greeted and self._speaker.disclosed):
            self._begin(self.brain.open(greet=not greeted, cause=connected), _Opening(connected))

    def close(self) -> None:
        """Nothing is said any more."""
        self._over = True
        self.silence("ended")

    def silence(self, cause: InterruptionCause) -> None:
        """Stops the reply that is being made and whatever of it is played or waits to be."""
        if self._reply is not None:
            self._reply.cancel()
            self._reply = None
        self._speaker.interrupt(cause)

    def typed(self, text: str) -> None:
        """The participant wrote instead of speaking."""
        now_ms = self._clock.now_ms()
        self._take_turn(HeardTurn(text, (), "none", "none", now_ms, now_ms, 0.0, 0.0), "text")

    def noted(self, event: NewEvent[Payload]) -> None:
        """Every event of the session, in its order."""
        payload = event.payload
        self._transcript = self._transcript.evolve(
            payload, at=event.occurred_at, turn_id=event.correlation_id
        )
        match payload:
            case SentenceInterrupted():
                if payload.played_ms:
                    self._turn_id = None
                self._page.interrupted(str(payload.sentence_id), payload.played_text)
                self._fell_silent(event.event_id)
            case SentencePlayed():
                self.active()
                self._turn_id = None
                self._fell_silent(event.event_id)

    def active(self) -> None:
        """Someone spoke: the conversation is not idle."""
        now_s = asyncio.get_running_loop().time()
        if self._active_s is None or now_s - self._active_s >= ACTIVITY_EVERY_S:
            self._active_s = now_s
            self._report(Fact(FactKind.ACTIVITY))

    def audible(self, sentence: SentenceCommitted, synthesised: EventId) -> None:
        """The first packet of a sentence goes out."""
        self._change_floor(FloorState.PERSONA, "sentence_began", synthesised)
        self._page.state("speaking")
        self._page.caption("persona", str(sentence.sentence_id), sentence.text, final=True)

    def first_sentence(self, turn_id: TurnId, stages: Stages) -> None:
        heard = self._heard
        self._page.stages(
            str(turn_id),
            {
                "end_of_turn": heard.end_of_turn_ms if heard else 0.0,
                "recognition": heard.recognition_ms if heard else 0.0,
                "answer": stages.answer,
                "gate_and_commit": stages.gate_and_commit,
                "synthesis": stages.synthesis,
            },
        )

    def end_after_speaking(self, reason: EndReason, cause: EventId) -> None:
        """The policy ends the conversation by the verdict `cause`, once what it says has been played."""
        self._start(self._end(reason, cause))

    # --- the ear (EarListener) -------------------------------------------------------------------------
    def voice_began(self, at_ms: int) -> None:
        if self._over:
            return
        self.active()
        # Nothing of an answer that is being made was heard: the person goes on, and it will be made anew.
        self._take_back("withdrawn")
        self._change_floor(FloorState.PARTICIPANT, "voice_began")
        self._page.state("listening")

    def interrupted(self, at_ms: int) -> None:
        self._take_back("barge_in")
        self._change_floor(FloorState.PARTICIPANT, "barge_in")
        self._page.state("listening")

    def paused(self, at_ms: int) -> None:
        if self._floor is FloorState.PARTICIPANT:
            self._change_floor(FloorState.PAUSE, "voice_paused")
            self._nod()

    def backchannel(self, at_ms: int) -> None:
        """A short sound beside the persona's speech: nothing stops."""
        self.active()
        self._change_floor(FloorState.OVERLAP, "backchannel")
        self._change_floor(FloorState.PERSONA, "backchannel_over")

    def resumed(self, at_ms: int) -> None:
        if self._floor is FloorState.PAUSE:
            self._change_floor(FloorState.PARTICIPANT, "voice_resumed")

    def turn_ended(self, heard: HeardTurn) -> None:
        if self._over:
            return
        if heard.text:
            self._take_turn(heard, "speech")
        elif self._part is not None:
            self._answer(heard, self._part)
        else:
            self._change_floor(FloorState.LISTENING, "no_words")
            self._make_again()

    def part_heard(self, heard: HeardTurn) -> None:
        """Taken down now; answered with the rest of the turn, when that is over."""
        if self._over or not heard.text:
            return
        self._taken_back = None
        self._part = self._take_down(heard, "speech")

    # --- turns -----------------------------------------------------------------------------------------
    def _take_turn(self, heard: HeardTurn, source: Literal["speech", "text"]) -> None:
        self.silence("barge_in")
        self._taken_back = None
        self._answer(heard, self._take_down(heard, source))

    def _take_down(self, heard: HeardTurn, source: Literal["speech", "text"]) -> EventId:
        self._turn_id = turn_id = self._turn_id or TurnId(self._mint())
        utterance_id = UtteranceId(self._mint())
        cause = self._scribe.note(
            UtteranceTranscribed(
                utterance_id=utterance_id,
                turn_id=turn_id,
                text=heard.text,
                words=tuple(
                    HeardWord(
                        w=word.w, start_ms=word.start_ms, end_ms=word.end_ms, confidence=word.confidence
                    )
                    for word in heard.words
                ),
                times=heard.times,
                recogniser=heard.recogniser,
                source=source,
                started_media_ms=heard.started_ms,
                ended_media_ms=heard.ended_ms,
            ),
            turn_id=turn_id,
            cause=self._turn_since if source == "speech" else self._connected,
            media_ms=heard.ended_ms,
            actor=self._participant(),
        )
        self._page.caption("user", str(utterance_id), heard.text, final=True)
        return cause

    def _answer(self, heard: HeardTurn, cause: EventId) -> None:
        """The turn is over; `cause` is its last utterance."""
        self._heard, self._part = heard, None
        self._turn_id = turn_id = self._turn_id or TurnId(self._mint())
        self._page.state("thinking")
        if heard.text.endswith("?"):
            self._raise_brows()
        self._change_floor(FloorState.LISTENING, "end_of_turn", cause)
        if self.brain is not None:
            asked = self._asked(turn_id, cause)
            self._begin(self.brain.answer(asked), asked)

    def _asked(self, turn_id: TurnId, cause: EventId) -> Asked:
        """What the person said since the persona was last heard is one question, however it was cut up."""
        said = list(self._transcript.said())
        question: list[str] = []
        while said and said[-1].role is Role.USER:
            question.insert(0, said.pop().text)
        return Asked(turn_id, " ".join(question), tuple(said), cause)

    def _begin(self, reply: Coroutine[None, None, None], making: Asked | _Opening) -> None:
        self._making = making
        self._reply = self._start(reply)

    def _take_back(self, cause: InterruptionCause) -> None:
        """Silence for a sound of which it is not known yet whether it holds words."""
        under_way = self._speaker.speaking or (self._reply is not None and not self._reply.done())
        if under_way:
            self._taken_back = self._making
        self.silence(cause)

    def _make_again(self) -> None:
        """A cough is no turn: what it stopped is said after all."""
        again, self._taken_back = self._taken_back, None
        match again:
            case _Opening():
                self.open(again.connected)
            case Asked() if self.brain is not None:
                self._page.state("thinking")
                self._begin(self.brain.answer(again), again)
            case _:
                self._page.state("listening")

    async def _end(self, reason: EndReason, cause: EventId) -> None:
        await self._speaker.finished()
        self._report(Fact(FactKind.END_WANTED, reason, cause))

    def _fell_silent(self, cause: EventId) -> None:
        if not self._speaker.speaking and self._floor in (FloorState.PERSONA, FloorState.OVERLAP):
            overlap = self._floor is FloorState.OVERLAP
            state = FloorState.PARTICIPANT if overlap else FloorState.LISTENING
            self._change_floor(state, "sentence_ended", cause)
            if self._reply is None or self._reply.done():
                self._page.state("listening")

    def _change_floor(self, state: FloorState, reason: str, cause: EventId | None = None) -> None:
        """`cause` is the fact that moved it. What the ear alone heard follows from how the floor stood."""
        if state is self._floor:
            return
        before, self._floor = self._floor, state
        self._floor_since = self._scribe.note(
            FloorChanged(state=state, reason=reason),
            turn_id=self._turn_id,
            cause=cause or self._floor_since,
            media_ms=self._clock.now_ms(),
        )
        if state is FloorState.PARTICIPANT and before is not FloorState.PAUSE:
            self._turn_since = self._floor_since
