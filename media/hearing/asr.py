"""Recognition of one piece of audio, and of a stream of it."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from domain.conversation.words import Word
from media.hearing.moonshine import ENCODER_FRAME_SAMPLES, Hypothesis, Moonshine, TokenWord
from media.hearing.vad import SAMPLE_RATE, WINDOW_MS, HeardWindow, samples_of
from media.hearing.word_times import Span, segments, spread, within_speech

Times = Literal["estimated", "aligned"]

SPEECH_MIN = 0.5
"""A window of at least this probability begins an utterance."""
VOICED_MIN = 0.35
"""Within an utterance, a window of at least this probability counts as speech."""
LEAD_IN_MS = 288
"""Kept before the first speech. With 0.7 s of silence in front the recogniser can return nothing."""
TAIL_MS = 256
"""Kept after the last speech."""
PARTIAL_INTERVAL_MS = 640
"""New speech that makes another partial worth its cost…"""
PARTIAL_SHARE = 6
"""…or this fraction of the audio to be read, so that long speech costs no more per second than short."""
PIECE_MS_MAX = 9_000
"""Speech is recognised for good in pieces of at most this length, so that the last one is always quick."""
PIECE_MS_MIN = 3_000
PENDING_MS_MAX = 27_000
"""Audio that may wait for recognition. Beyond it the machine is hopelessly late: the oldest audio is given
up, and the utterance says how much."""
PIECES_MAX = 64
"""Pieces of one utterance, three to nine minutes. Longer speech is several utterances of one turn: at the
bound, this one is closed and taken, and the next piece begins another. See `full`."""
BLIP_MS_MAX = 64
"""A sound this short, on its own, is no speech: a click, a key."""
BLIP_GAP_MS = 480
FORGET_MS = 3_000
"""Sound for which nobody asked for a reading is forgotten after this much silence: it was no turn."""
LOOP_TOKENS_MAX = 8
LOOP_TIMES = 4
SENTENCE_ENDS = ".?!"
NEVER_CAPITAL = frozenset(
    word
    for line in (
        "a an the and or but because if when while that which who what where why how to of for with from by",
        "at in on about as is are was were do does did can could would should will have has had it its they",
        "he she we you your my our their this these those there then so not no um uh",
    )
    for word in line.split()
)
"""Words that are written small inside a sentence, whatever they mean."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """What was said in a piece of audio. Times of words count from its first sample."""

    text: str
    words: tuple[Word, ...]
    times: Times
    draft: tuple[int, ...] = ()
    """Meaningful to the recogniser alone: hand it in with longer audio of the same speech to be faster."""


class Recogniser(Protocol):
    """Speech to text. Blocks for as long as it computes: call it in an executor."""

    @property
    def name(self) -> str:
        """Recorded with each utterance."""
        ...

    def transcribe(
        self,
        pcm16: bytes,
        *,
        draft: Sequence[int] = (),
        align: bool = False,
        cancelled: threading.Event | None = None,
    ) -> Recognition:
        """The words in mono 16 kHz audio in which someone speaks, at most 30 s of it.

        The draft changes how fast the answer comes, not what it is. `align` asks for the best word times.
        Raises RecognitionCancelled soon after `cancelled` is set.
        """
        ...


class MoonshineRecogniser:
    """Moonshine base. On one core: 1 s of speech 30 ms, 3 s 70 ms, 9 s 250 ms; a right draft halves it."""

    name = "moonshine-base-en"

    def __init__(self, model: Moonshine) -> None:
        self._model = model

    def transcribe(
        self,
        pcm16: bytes,
        *,
        draft: Sequence[int] = (),
        align: bool = False,
        cancelled: threading.Event | None = None,
    ) -> Recognition:
        """See Recogniser."""
        samples = samples_of(pcm16)
        read = without_loop(self._model.transcribe(samples, draft=draft, align=align, cancelled=cancelled))
        spelled = self._model.vocabulary.words(read.tokens)
        length_ms = samples.size * 1000 // SAMPLE_RATE
        if read.attention is None:
            times: Times = "estimated"
            spans = spread([len(word.text) for word in spelled], [Span(0, length_ms)])
        else:
            times = "aligned"
            spans = _aligned(spelled, segments(read.attention), length_ms)
        words = tuple(
            Word(
                word.text, span.start_ms, span.end_ms, _confidence(read.probabilities[word.start : word.end])
            )
            for word, span in zip(spelled, spans, strict=True)
        )
        return Recognition(" ".join(word.w for word in words), words, times, read.tokens)


def without_loop(read: Hypothesis) -> Hypothesis:
    """The same without a phrase that the model repeats at the end until its limit (at noise it may)."""
    tokens = read.tokens
    for length in range(1, LOOP_TOKENS_MAX + 1):
        phrase = tokens[len(tokens) - length :]
        times = 1
        while tokens[len(tokens) - length * (times + 1) : len(tokens) - length * times] == phrase:
            times += 1
        if times >= LOOP_TIMES:
            kept = len(tokens) - length * (times - 1)
            attention = read.attention[:kept] if read.attention is not None else None
            return Hypothesis(tokens[:kept], read.probabilities[:kept], attention)
    return read


def _aligned(words: Sequence[TokenWord], frames: Sequence[tuple[int, int]], length_ms: int) -> list[Span]:
    def ms(frame: int) -> int:
        return min(length_ms, frame * ENCODER_FRAME_SAMPLES * 1000 // SAMPLE_RATE)

    return [Span(ms(frames[word.start][0]), ms(frames[word.end - 1][1])) for word in words]


def _confidence(probabilities: Sequence[float]) -> float:
    """The geometric mean: long words are not less certain for having more tokens."""
    return round(float(np.exp(np.mean(np.log(np.maximum(probabilities, 1e-9))))), 3)


@dataclass(frozen=True, slots=True)
class Job:
    """One recognition to be done in an executor, on audio that no longer changes."""

    pcm16: bytes
    start_ms: int
    end_ms: int
    """Up to where in the stream this reads."""
    piece: int
    commits: bool
    """What is read is for good, and its audio is let go."""
    align: bool
    draft: tuple[int, ...]

    def run(self, recogniser: Recogniser, cancelled: threading.Event | None = None) -> "Done":
        """Blocks while it computes. Raises RecognitionCancelled."""
        read = recogniser.transcribe(self.pcm16, draft=self.draft, align=self.align, cancelled=cancelled)
        return Done(self, read)


@dataclass(frozen=True, slots=True)
class Done:
    """A job and what it read."""

    job: Job
    recognition: Recognition


@dataclass(frozen=True, slots=True)
class Utterance:
    """What one person said. Times count from the stream's first sample."""

    text: str
    words: tuple[Word, ...]
    times: Times
    started_ms: int
    ended_ms: int
    lost_ms: int
    """Speech that was given up because recognition was too late (PENDING_MS_MAX); 0 on a healthy machine."""

    @property
    def confidence(self) -> float:
        """Mean over the words; 0 when there is none."""
        return sum(word.confidence for word in self.words) / len(self.words) if self.words else 0.0


class StreamingRecogniser:
    """Gathers one person's speech and says what is to be recognised, and when.

    It computes nothing itself: `feed`, `partial_job`, `final_job`, `accept` and `take` cost microseconds and
    belong to one thread. A job is run in an executor and its result handed to `accept`. While speech goes on,
    run `partial_job()` whenever there is one; in a pause run `final_job()` at once, so that its result is
    there before the turn is decided; when `settled`, `take()` hands the utterance over without a wait.
    """

    def __init__(self) -> None:
        self._lead_in: deque[HeardWindow] = deque(maxlen=LEAD_IN_MS // WINDOW_MS)
        self._utterances = 0
        self._reset()

    def _reset(self) -> None:
        self._pending: list[HeardWindow] = []
        self._committed: list[Recognition] = []
        self._latest: Done | None = None
        self._asked_ms = 0
        self._voiced_ms = 0
        self._lost_ms = 0
        self._asked = False
        self._utterances += 1
        self._started_ms: int | None = None
        self._voiced_end_ms = 0
        self._committed_end_ms = 0

    @property
    def active(self) -> bool:
        """Whether there is an utterance: someone spoke since the last `take`."""
        return self._started_ms is not None

    @property
    def full(self) -> bool:
        """The utterance has its greatest length: take it; what was said since is kept for the next."""
        return len(self._committed) >= PIECES_MAX

    @property
    def settled(self) -> bool:
        """Everything said so far has been read by a final job: `take` loses nothing and needs no wait."""
        if not self.active:
            return False
        if self.full:
            return True
        if not any(window.speech >= VOICED_MIN for window in self._pending):
            return True
        latest = self._latest
        return latest is not None and latest.job.align and latest.job.end_ms >= self._voiced_end_ms

    def feed(self, window: HeardWindow) -> None:
        """The stream's next 32 ms, speech or not."""
        if not self.active:
            if window.speech < SPEECH_MIN:
                self._lead_in.append(window)
                return
            self._started_ms = window.start_ms
            self._pending = list(self._lead_in)
            self._lead_in.clear()
        self._pending.append(window)
        if window.speech >= VOICED_MIN:
            self._voiced_end_ms = window.end_ms
            self._voiced_ms += WINDOW_MS
        elif not self._asked and window.end_ms - self._voiced_end_ms >= FORGET_MS:
            self._forget()
        while len(self._pending) * WINDOW_MS > PENDING_MS_MAX:
            self._give_up_oldest()

    def _forget(self) -> None:
        keep = self._pending[-(LEAD_IN_MS // WINDOW_MS) :]
        self._reset()
        self._lead_in.extend(window for window in keep if window.speech < VOICED_MIN)

    def _give_up_oldest(self) -> None:
        oldest = self._pending.pop(0)
        if oldest.speech >= VOICED_MIN:
            self._lost_ms += WINDOW_MS

    def partial_job(self) -> Job | None:
        """A reading of the speech so far, when enough was added since the last one; a piece that is long
        enough is read for good. None while there is nothing worth its cost."""
        if not self.active or self.full:
            return None
        if self._spoken_ms() > PIECE_MS_MAX:
            return self._piece_job()
        interval = max(PARTIAL_INTERVAL_MS, len(self._pending) * WINDOW_MS // PARTIAL_SHARE)
        if self._voiced_ms - self._asked_ms < interval:
            return None
        return self._job(self._pending, commits=False, align=False)

    def final_job(self) -> Job | None:
        """A reading of everything that is not read for good. None when `settled`, or when nobody spoke.

        Longer audio is read in pieces: ask again after `accept` until there is none.
        """
        if not self.active or self.settled:
            return None
        if self._spoken_ms() > PIECE_MS_MAX:
            return self._piece_job()
        return self._job(self._pending, commits=False, align=True)

    def accept(self, done: Done) -> None:
        """Takes a job's result. One that was overtaken, by a later job or by `take`, is dropped."""
        job = done.job
        if not self.active or job.piece != self._piece():
            return
        if job.commits:
            self._committed.append(self._placed(done))
            within = [window for window in self._pending if window.end_ms <= job.end_ms]
            spoken = voiced_spans(within)
            self._committed_end_ms = spoken[-1].end_ms if spoken else job.end_ms
            self._pending = without_silent_front(
                [window for window in self._pending if window.start_ms >= job.end_ms]
            )
            self._latest = None
        elif self._latest is None or _worth(job) >= _worth(self._latest.job):
            self._latest = done

    def so_far(self) -> str:
        """The text read so far, the newest words from the last partial."""
        latest = [self._latest.recognition] if self._latest is not None else []
        words = joined([part.words for part in [*self._committed, *latest]])
        return " ".join(word.w for word in words)

    def take(self) -> Utterance | None:
        """The utterance as it is known now; the next speech begins another. None when nobody spoke."""
        if self._started_ms is None:
            return None
        parts = list(self._committed)
        if self._latest is not None:
            parts.append(self._placed(self._latest))
        words = joined([part.words for part in parts])
        times: Times = "aligned" if all(part.times == "aligned" for part in parts) else "estimated"
        text = " ".join(word.w for word in words)
        # What was said beyond the greatest length belongs to the next.
        ended_ms = self._committed_end_ms if self.full else self._voiced_end_ms
        utterance = Utterance(text, words, times, self._started_ms, ended_ms, self._lost_ms)
        if self.full:
            rest = self._pending
            self._reset()
            for window in rest:
                self.feed(window)
        else:
            self._forget()
        return utterance

    def finish(self, recogniser: Recogniser, cancelled: threading.Event | None = None) -> Utterance | None:
        """Reads what is left and takes the utterance: blocks, for programs without a loop of their own."""
        while (job := self.final_job()) is not None:
            self.accept(job.run(recogniser, cancelled))
        return self.take()

    def pending_pcm16(self) -> bytes:
        """The audio that is not read for good: what an end-of-turn judge listens to."""
        return b"".join(window.pcm16 for window in self._pending)

    def _piece(self) -> int:
        # Utterances are told apart, too: a job of the one before must not enter this one.
        return self._utterances * (PIECES_MAX + 1) + len(self._committed)

    def _spoken_ms(self) -> int:
        """Length of the pending audio from its first speech to its last."""
        heard = without_silent_front(self._pending)
        return max(0, self._voiced_end_ms - heard[0].start_ms - LEAD_IN_MS) if heard else 0

    def _piece_job(self) -> Job:
        heard = without_silent_front(self._pending)
        return self._job(heard[: cut_of(heard)], commits=True, align=True)

    def _job(self, windows: Sequence[HeardWindow], *, commits: bool, align: bool) -> Job:
        self._asked_ms = self._voiced_ms
        heard = trimmed(windows)
        if not self._asked:
            self._asked = True
            self._started_ms = next((w.start_ms for w in heard if w.speech >= VOICED_MIN), heard[0].start_ms)
        return Job(
            pcm16=b"".join(window.pcm16 for window in heard),
            start_ms=heard[0].start_ms,
            end_ms=windows[-1].end_ms,
            piece=self._piece(),
            commits=commits,
            align=align,
            draft=self._latest.recognition.draft if self._latest is not None else (),
        )

    def _placed(self, done: Done) -> Recognition:
        """A job's words on the stream's timeline, and within the speech that was heard there."""
        offset = done.job.start_ms
        moved = [
            replace(word, start_ms=word.start_ms + offset, end_ms=word.end_ms + offset)
            for word in done.recognition.words
        ]
        return replace(done.recognition, words=within_speech(moved, voiced_spans(self._pending)))


def _worth(job: Job) -> tuple[int, bool]:
    return job.end_ms, job.align


def without_silent_front(windows: Sequence[HeardWindow]) -> list[HeardWindow]:
    """From LEAD_IN_MS before the first speech on, blips left out; the last LEAD_IN_MS when nobody speaks."""
    lead_in = LEAD_IN_MS // WINDOW_MS
    first = len(windows)
    islands = voiced_spans(windows)
    for span, following in zip(islands, [*islands[1:], None], strict=True):
        gap_ms = following.start_ms - span.end_ms if following is not None else 0
        if span.end_ms - span.start_ms > BLIP_MS_MAX or gap_ms < BLIP_GAP_MS:
            first = next(i for i, window in enumerate(windows) if window.start_ms == span.start_ms)
            break
    return list(windows[max(0, first - lead_in) :])


def trimmed(windows: Sequence[HeardWindow]) -> list[HeardWindow]:
    """Without the silence before LEAD_IN_MS and after TAIL_MS."""
    voiced = [i for i, window in enumerate(windows) if window.speech >= VOICED_MIN]
    if not voiced:
        return list(windows)
    return without_silent_front(windows[: voiced[-1] + 1 + TAIL_MS // WINDOW_MS])


def cut_of(windows: Sequence[HeardWindow]) -> int:
    """Where to end a piece: in the middle of the longest pause between PIECE_MS_MIN and PIECE_MS_MAX, or at
    the window there that sounds least like speech."""
    first, last = PIECE_MS_MIN // WINDOW_MS, PIECE_MS_MAX // WINDOW_MS
    best, length = 0, 0
    run = 0
    for place in range(first, min(last, len(windows))):
        run = run + 1 if windows[place].speech < VOICED_MIN else 0
        if run > length:
            best, length = place - run // 2, run
    if length:
        return best + 1
    return min(range(first, min(last, len(windows))), key=lambda place: windows[place].speech) + 1


def voiced_spans(windows: Sequence[HeardWindow]) -> list[Span]:
    """The stretches in which someone speaks."""
    spans: list[Span] = []
    for window in windows:
        if window.speech < VOICED_MIN:
            continue
        if spans and spans[-1].end_ms == window.start_ms:
            spans[-1] = Span(spans[-1].start_ms, window.end_ms)
        else:
            spans.append(Span(window.start_ms, window.end_ms))
    return spans


def joined(parts: Sequence[Sequence[Word]]) -> tuple[Word, ...]:
    """The words of several pieces as one text: the recogniser begins each piece with a capital, also inside a
    sentence."""
    words: list[Word] = []
    for part in parts:
        for place, word in enumerate(part):
            inside = bool(words) and place == 0 and words[-1].w[-1] not in SENTENCE_ENDS
            if inside and word.w.lower().strip(",") in NEVER_CAPITAL:
                words.append(replace(word, w=word.w.lower()))
            else:
                words.append(word if words else replace(word, w=word.w[:1].upper() + word.w[1:]))
    return tuple(words)
