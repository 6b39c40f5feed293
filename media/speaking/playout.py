"""The playout: sentences in, twenty milliseconds out at a time, and what was thereby played.

Time here is samples that were handed out; there is no other clock. All calls are made on one event loop,
and none of those that hand out sound ever waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

import numpy as np

from domain.errors import InvalidInput, RuleBroken
from domain.ids import SentenceId
from domain.speech import BYTES_PER_SAMPLE, SpokenWord, SynthesisedSentence, played_part

SAMPLE_RATE = 48_000
FRAME_SAMPLES = 960
# Sentences that play or wait. At the limit `enqueue` refuses, and `space` waits: a reply is synthesised
# about this far ahead of what is heard, so that little is thrown away when the person cuts in.
SENTENCES_QUEUED_MAX = 4
# Events that wait to be taken. Each sentence has two, and none may be lost: while there is no room for
# those of one more sentence, none is accepted.
EVENTS_WAITING_MAX = 32
EVENTS_PER_SENTENCE = 2
# Between two sentences, beside the silence that they bring along: a speaker breathes.
PAUSE_FRAMES = 6
# How long the sound takes to die away when it is cut off; a bare cut is heard as a click.
FADE_SAMPLES = 384

SILENT_FRAME = bytes(FRAME_SAMPLES * BYTES_PER_SAMPLE)
_FRAME_BYTES = len(SILENT_FRAME)
_FADE = np.zeros(FRAME_SAMPLES, np.float32)
_FADE[:FADE_SAMPLES] = np.linspace(1.0, 0.0, FADE_SAMPLES, dtype=np.float32)


class PlayoutFull(RuleBroken):
    """As many sentences wait as may: await `space` first."""

    code = "playout_full"

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} sentences wait to be played; await space() before the next")
        self.waiting = waiting


class SentenceQueuedTwice(RuleBroken):
    """The sentence plays or waits already."""

    code = "sentence_queued_twice"

    def __init__(self, sentence_id: SentenceId) -> None:
        super().__init__(f"sentence {sentence_id} is in the playout already; a repetition needs its own id")
        self.sentence_id = sentence_id


class WrongSampleRate(InvalidInput):
    """The playout does not resample."""

    code = "wrong_sample_rate"

    def __init__(self, rate: int) -> None:
        super().__init__(f"the sentence has {rate} samples a second; give it with {SAMPLE_RATE}")
        self.rate = rate


@dataclass(frozen=True, slots=True)
class SentenceStarted:
    """`at_sample` of the playout is the sentence's first; it goes out with the frame now handed out."""

    sentence_id: SentenceId
    at_sample: int


@dataclass(frozen=True, slots=True)
class SentenceEnded:
    """Comes once for every sentence that was accepted. `at_sample` is where its last frame ended.

    `complete` says that every sample was handed out; else `played_text` is the exact prefix of its text that
    was, a word counting when at least half of it was. `packets` are the frames that carried it. The times of
    `words` are those of the sentence.
    """

    sentence_id: SentenceId
    at_sample: int
    complete: bool
    played_samples: int
    played_text: str
    words: tuple[SpokenWord, ...]
    words_total: int
    packets: int

    @property
    def played_ms(self) -> int:
        return round(self.played_samples * 1000 / SAMPLE_RATE)

    @property
    def words_played(self) -> int:
        return len(self.words)


PlayoutEvent = SentenceStarted | SentenceEnded


@dataclass(frozen=True, slots=True)
class PlayoutPosition:
    """The sentence that is being played, and how much of it was handed out."""

    sentence_id: SentenceId
    played_ms: int


@dataclass(slots=True)
class _Entry:
    sentence_id: SentenceId
    text: str
    speech: SynthesisedSentence
    played: int = 0
    packets: int = 0

    @property
    def complete(self) -> bool:
        return self.packets > 0 and self.played == self.speech.samples

    def peek(self) -> bytes:
        start = self.played * BYTES_PER_SAMPLE
        return self.speech.pcm16[start : start + _FRAME_BYTES]


class Playout:
    """What the persona says, in the order it was given."""

    def __init__(self) -> None:
        self._entries: deque[_Entry] = deque()
        self._events: deque[PlayoutEvent] = deque()
        self._pause_frames = 0
        self._fade: bytes | None = None
        self._handed_out = 0
        self._space = asyncio.Event()
        self._empty = asyncio.Event()
        self._update()

    @property
    def samples_handed_out(self) -> int:
        return self._handed_out

    @property
    def waiting(self) -> int:
        """Sentences that play or wait."""
        return len(self._entries)

    @property
    def has_space(self) -> bool:
        return (
            len(self._entries) < SENTENCES_QUEUED_MAX
            and len(self._events) + EVENTS_PER_SENTENCE * (len(self._entries) + 1) <= EVENTS_WAITING_MAX
        )

    async def space(self) -> None:
        """Waits until a sentence would be accepted. Who calls `enqueue` without awaiting anything in between
        is accepted."""
        while not self.has_space:
            await self._space.wait()

    async def empty(self) -> None:
        """Waits until nothing plays or waits."""
        while self._entries:
            await self._empty.wait()

    def enqueue(self, sentence_id: SentenceId, text: str, speech: SynthesisedSentence) -> None:
        """`speech.words` must be the words of `text`. Raises PlayoutFull, SentenceQueuedTwice or
        WrongSampleRate, and then nothing has changed."""
        if speech.sample_rate != SAMPLE_RATE:
            raise WrongSampleRate(speech.sample_rate)
        if any(entry.sentence_id == sentence_id for entry in self._entries):
            raise SentenceQueuedTwice(sentence_id)
        if not self.has_space:
            raise PlayoutFull(len(self._entries))
        self._entries.append(_Entry(sentence_id, text, speech))
        self._update()

    def next_frame(self) -> bytes:
        """FRAME_SAMPLES of mono PCM16, silence where there is nothing to say. What is returned counts as
        handed to the transport."""
        frame = self._frame()
        self._handed_out += FRAME_SAMPLES
        if self._entries and self._entries[0].complete:
            self._end(self._entries.popleft())
            self._pause_frames = PAUSE_FRAMES
        self._update()
        return frame

    def interrupt(self) -> None:
        """Ends every sentence. The next frame holds at most a short fade, which counts as not played."""
        if not self._entries:
            return
        playing = self._entries[0]
        if playing.packets:
            self._fade = _faded(playing.peek())
        while self._entries:
            self._end(self._entries.popleft())
        self._pause_frames = 0
        self._update()

    def events(self) -> tuple[PlayoutEvent, ...]:
        """What has happened since the last call, in order. Each event is given once."""
        taken = tuple(self._events)
        self._events.clear()
        self._update()
        return taken

    def position(self) -> PlayoutPosition | None:
        """None while nothing is being played, as before a sentence's first frame."""
        if not self._entries or not self._entries[0].packets:
            return None
        playing = self._entries[0]
        return PlayoutPosition(playing.sentence_id, round(playing.played * 1000 / SAMPLE_RATE))

    def _frame(self) -> bytes:
        if self._fade is not None:
            fade, self._fade = self._fade, None
            return fade
        if self._pause_frames:
            self._pause_frames -= 1
            return SILENT_FRAME
        if not self._entries:
            return SILENT_FRAME
        entry = self._entries[0]
        if not entry.packets:
            self._events.append(SentenceStarted(entry.sentence_id, self._handed_out))
        piece = entry.peek()
        entry.played += len(piece) // BYTES_PER_SAMPLE
        entry.packets += 1
        return piece.ljust(_FRAME_BYTES, b"\0")

    def _end(self, entry: _Entry) -> None:
        part = played_part(
            entry.text, entry.speech.words, played_samples=entry.played, sample_rate=SAMPLE_RATE
        )
        complete = entry.complete
        self._events.append(
            SentenceEnded(
                sentence_id=entry.sentence_id,
                at_sample=self._handed_out,
                complete=complete,
                played_samples=entry.played,
                # White space after the last word belongs to a sentence that was said whole.
                played_text=entry.text if complete else part.text,
                words=entry.speech.words if complete else part.words,
                words_total=len(entry.speech.words),
                packets=entry.packets,
            )
        )

    def _update(self) -> None:
        _set(self._space, on=self.has_space)
        _set(self._empty, on=not self._entries)


def _set(event: asyncio.Event, *, on: bool) -> None:
    if on:
        event.set()
    else:
        event.clear()


def _faded(piece: bytes) -> bytes:
    samples = np.frombuffer(piece.ljust(_FRAME_BYTES, b"\0"), "<i2")
    fading: bytes = (samples * _FADE).astype("<i2").tobytes()
    return fading
