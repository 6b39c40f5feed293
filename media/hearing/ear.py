"""The ear of one session: sound in, turns out.

Speech activity and the floor are decided where the sound arrives, since both take microseconds. Recognition
and the end-of-turn judge run beside them in threads, from the first pause on, so that what they find is
mostly there when the turn is taken to be over.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import structlog

from domain.conversation.floor import Act, Decision, Evidence, Floor, step
from domain.conversation.floor import Heard as HeardStep
from domain.conversation.words import Word
from media.hearing.asr import Job, MoonshineRecogniser, Recogniser, StreamingRecogniser, Utterance
from media.hearing.end_of_turn import EndOfTurn, SmartTurn
from media.hearing.moonshine import Moonshine, RecognitionCancelled
from media.hearing.threads import HearingThreads
from media.hearing.vad import SAMPLE_RATE, HeardWindow, SileroModel, SpeechActivity
from media.models import ModelName, locate

log = structlog.get_logger()

# The stream's clock counts samples; when sound was lost on the way it is set anew, beyond this.
CLOCK_SLIP_MS_MAX = 100


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """What the participant said. Times are on the session's timeline; an empty text is a sound without words.

    `end_of_turn_ms` is from the last speech to the decision, `recognition_ms` from there to the words.
    """

    text: str
    words: tuple[Word, ...]
    times: Literal["estimated", "aligned", "none"]
    recogniser: str
    started_ms: int
    ended_ms: int
    end_of_turn_ms: float
    recognition_ms: float


class EarListener(Protocol):
    """Whom the ear tells. Every call returns at once; times are on the session's timeline."""

    def voice_began(self, at_ms: int) -> None: ...

    def interrupted(self, at_ms: int) -> None: ...

    def backchannel(self, at_ms: int) -> None: ...

    def paused(self, at_ms: int) -> None: ...

    def resumed(self, at_ms: int) -> None: ...

    def part_heard(self, heard: HeardTurn) -> None:
        """The turn is longer than one utterance may be: this much of it is read, and it goes on."""
        ...

    def turn_ended(self, heard: HeardTurn) -> None: ...


@dataclass(frozen=True, slots=True)
class HearingModels:
    """Loaded once for a process and shared by its sessions."""

    silero: SileroModel
    end_of_turn: EndOfTurn
    recogniser: Recogniser

    @classmethod
    def load(cls, models_dir: Path) -> HearingModels:
        """Takes about two seconds. Raises ModelMissing or ModelChecksumWrong."""
        moonshine = Moonshine.load(
            locate(models_dir, ModelName.MOONSHINE_ENCODER),
            locate(models_dir, ModelName.MOONSHINE_DECODER),
            locate(models_dir, ModelName.MOONSHINE_TOKENS),
        )
        models = cls(
            SileroModel(locate(models_dir, ModelName.SILERO_VAD)),
            SmartTurn(locate(models_dir, ModelName.SMART_TURN)),
            MoonshineRecogniser(moonshine),
        )
        # The first call of each is a tenth of a second slower than the others: nobody should wait for it.
        models.recogniser.transcribe(bytes(2 * SAMPLE_RATE), align=True)
        models.end_of_turn.probability(bytes(2 * SAMPLE_RATE))
        return models


@dataclass(frozen=True, slots=True)
class _Owed:
    """A turn that is over and whose words are not all read."""

    decided_ms: int


class Ear:
    """`feed` belongs to the loop and never waits; `run` must be running for words to come.

    `persona_speaks` says whether the persona is being heard now, `now_ms` is the session's timeline.
    """

    def __init__(
        self,
        models: HearingModels,
        threads: HearingThreads,
        listener: EarListener,
        *,
        persona_speaks: Callable[[], bool],
        now_ms: Callable[[], int],
    ) -> None:
        self._models, self._threads, self._listener = models, threads, listener
        self._persona_speaks, self._now_ms = persona_speaks, now_ms
        self._activity = SpeechActivity(models.silero)
        self._stream = StreamingRecogniser()
        self._floor = Floor()
        self._offset_ms: int | None = None
        self._evidence: list[Evidence] = []
        self._owed: _Owed | None = None
        # The latest utterance of the present turn that was handed over before the turn's end.
        self._part: Utterance | None = None
        self._reading = asyncio.Event()
        self._read_all = False
        self._cancel = threading.Event()
        self._job: Job | None = None
        self.lost_ms = 0
        self._judging = asyncio.Event()
        self._judge_pause = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read())
            tasks.create_task(self._judge())

    def feed(self, pcm16: bytes, end_ms: int) -> None:
        """Mono 16 kHz sound that ends at `end_ms` of the session's timeline."""
        windows = self._activity.feed(pcm16)
        slip = end_ms - self._activity.heard_ms
        if self._offset_ms is None or abs(slip - self._offset_ms) > CLOCK_SLIP_MS_MAX:
            self._offset_ms = slip
        for window in windows:
            self._step(window)

    def _step(self, window: HeardWindow) -> None:
        self._stream.feed(window)
        evidence, self._evidence = tuple(self._evidence), []
        heard = HeardStep(window.end_ms, window.speech, self._persona_speaks(), evidence)
        self._floor, decision = step(self._floor, heard)
        self._act(decision, self._placed(window.end_ms))
        if self._floor.in_turn and not self._floor.paused:
            # While speech goes on, what was said so far is read now and then: a final reading is then short.
            self._reading.set()

    def _act(self, decision: Decision, at_ms: int) -> None:
        match decision.act:
            case Act.SPEECH_BEGAN | Act.TURN_REOPENED:
                # A turn that is owed and goes on is one turn.
                self._owed = None
                self._listener.voice_began(at_ms)
            case Act.INTERRUPTED:
                self._owed = None
                self._listener.interrupted(at_ms)
            case Act.BACKCHANNEL:
                self._stream.take()
                self._listener.backchannel(at_ms)
            case Act.PAUSE_BEGAN:
                self._ask_for_all(decision.pause)
                self._listener.paused(at_ms)
            case Act.JUDGE_AGAIN:
                self._judge_pause = decision.pause
                self._judging.set()
            case Act.SPEECH_RESUMED:
                self._read_all = False
                self._listener.resumed(at_ms)
            case Act.TURN_ENDED:
                self._owed = _Owed(self._now_ms())
                self._ask_for_all(decision.pause)
                self._hand_over()
            case Act.NONE:
                pass

    def _ask_for_all(self, pause: int) -> None:
        self._read_all = True
        if self._job is not None and not self._job.align:
            # What a partial reading would find is worth less than the time until the final one begins.
            self._cancel.set()
        self._reading.set()
        self._judge_pause = pause
        self._judging.set()

    def _hand_over(self) -> None:
        """Gives the turn away once it is over and read to its end."""
        # Nothing may have been said since its last part.
        read = self._stream.settled or (self._part is not None and not self._stream.active)
        if self._owed is None or not read:
            return
        owed, self._owed = self._owed, None
        part, self._part = self._part, None
        said = self._stream.take()
        self._read_all = False
        if said is None and part is not None:
            said = replace(part, text="", words=(), started_ms=part.ended_ms, lost_ms=0)
        if said is not None:
            self._listener.turn_ended(self._heard(said, owed.decided_ms))

    def _close_part(self) -> None:
        """An utterance that is as long as it may be is handed over, so that what follows is neither lost nor
        gathered without end; the turn goes on with the next one."""
        part = self._stream.take()
        if part is not None:
            self._part = part
            self._listener.part_heard(self._heard(part, self._now_ms()))

    def _heard(self, said: Utterance, decided_ms: int) -> HeardTurn:
        if said.lost_ms:
            self.lost_ms += said.lost_ms
            log.warning("ear.speech_lost", lost_ms=said.lost_ms)
        offset_ms = self._offset_ms or 0
        ended_ms = said.ended_ms + offset_ms
        return HeardTurn(
            text=said.text,
            words=tuple(
                Word(word.w, word.start_ms + offset_ms, word.end_ms + offset_ms, word.confidence)
                for word in said.words
            ),
            times=said.times,
            recogniser=self._models.recogniser.name,
            started_ms=said.started_ms + offset_ms,
            ended_ms=ended_ms,
            end_of_turn_ms=max(0, decided_ms - ended_ms),
            recognition_ms=max(0, self._now_ms() - decided_ms),
        )

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._reading.wait()
            self._reading.clear()
            while (job := self._next_job()) is not None:
                self._cancel.clear()
                self._job = job
                pause = self._floor.pause
                try:
                    done = await loop.run_in_executor(
                        self._threads.recognition, job.run, self._models.recogniser, self._cancel
                    )
                except RecognitionCancelled:
                    continue
                finally:
                    self._job = None
                self._stream.accept(done)
                if self._stream.full:
                    self._close_part()
                if self._stream.settled:
                    self._evidence.append(Evidence(pause, text=self._stream.so_far()))
                elif self._part is not None and not self._stream.active:
                    self._evidence.append(Evidence(pause, text=self._part.text))
                self._hand_over()

    def _next_job(self) -> Job | None:
        return self._stream.final_job() if self._read_all else self._stream.partial_job()

    async def _judge(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._judging.wait()
            self._judging.clear()
            pause, sound = self._judge_pause, self._stream.pending_pcm16()
            completion = await loop.run_in_executor(
                self._threads.judgement, self._models.end_of_turn.probability, sound
            )
            self._evidence.append(Evidence(pause, completion=completion))

    def _placed(self, stream_ms: int) -> int:
        return stream_ms + (self._offset_ms or 0)
