"""What the caller's microphone gives: files in real time, silence otherwise."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from ops.caller.errors import CallFailed
from ops.caller.latency import Spoken
from ops.caller.loudness import SAMPLE_RATE, Pcm
from ops.caller.sound import Sound
from ops.caller.taps import Left

FRAME_SAMPLES = 960
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE
SOUNDS_WAITING_MAX = 1
_RTP_CLOCK = 1 << 32


@dataclass(slots=True)
class _Saying:
    """A sound that is being sent, from sample `start` of the track."""

    sound: Sound
    start: int
    spoken: asyncio.Future[Spoken]
    sent_s: dict[int, float] = field(default_factory=dict)

    def frame_of(self, sample: int) -> int:
        return (self.start + sample) // FRAME_SAMPLES

    @property
    def end(self) -> int:
        return self.start + len(self.sound.pcm)


class Mouth:
    """Frames of 20 ms, paced by its own clock. Frames that are late are sent at once."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop()
        self._began_s: float | None = None
        self._position = 0
        self._first_timestamp: int | None = None
        self._sounds: deque[tuple[Sound, asyncio.Future[Spoken]]] = deque(maxlen=SOUNDS_WAITING_MAX)
        self._saying: _Saying | None = None

    def track(self) -> MediaStreamTrack:
        """For a new connection. A sound that the one before it did not carry to its end is given up: whoever
        says it still wants it says it again."""
        for _, spoken in self._sounds:
            spoken.cancel()
        if self._saying is not None:
            self._saying.spoken.cancel()
        self._sounds.clear()
        self._saying, self._began_s, self._first_timestamp, self._position = None, None, None, 0
        return _Microphone(self)

    async def say(self, sound: Sound) -> Spoken:
        """Plays the sound to its end and tells when its first and last speech left, at the packet."""
        if self._sounds or self._saying is not None:
            raise CallFailed("The caller speaks already: one sound at a time.")
        spoken: asyncio.Future[Spoken] = self._clock.create_future()
        self._sounds.append((sound, spoken))
        began_s = self._clock.time()
        result = await spoken
        # Silence at the end of a file belongs to it.
        await asyncio.sleep(max(0.0, began_s + sound.duration_s - self._clock.time()))
        return result

    async def recv(self) -> AudioFrame:
        """The next frame, when its time has come."""
        if self._began_s is None:
            self._began_s = self._clock.time()
        await asyncio.sleep(max(0.0, self._began_s + self._position / SAMPLE_RATE - self._clock.time()))
        frame = AudioFrame.from_ndarray(self._next_samples().reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, self._position
        frame.time_base = Fraction(1, SAMPLE_RATE)
        self._position += FRAME_SAMPLES
        return frame

    def on_left(self, packet: Left) -> None:
        """Told by the tap of the sender."""
        if self._first_timestamp is None:
            self._first_timestamp = packet.timestamp
        saying = self._saying
        if saying is None:
            return
        frame = ((packet.timestamp - self._first_timestamp) % _RTP_CLOCK) // FRAME_SAMPLES
        first, last = saying.frame_of(saying.sound.first_speech), saying.frame_of(saying.sound.last_speech)
        if frame in (first, last):
            saying.sent_s.setdefault(frame, packet.at_s)
        if frame >= last:
            self._saying = None
            if not saying.spoken.done():
                saying.spoken.set_result(
                    Spoken(saying.sent_s.get(first, packet.at_s), saying.sent_s.get(last, packet.at_s))
                )

    def _next_samples(self) -> Pcm:
        samples = np.zeros(FRAME_SAMPLES, np.int16)
        if self._saying is None and self._sounds:
            sound, spoken = self._sounds.popleft()
            self._saying = _Saying(sound, self._position, spoken)
        if self._saying is not None:
            offset = self._position - self._saying.start
            piece = self._saying.sound.pcm[offset : offset + FRAME_SAMPLES]
            samples[: len(piece)] = piece
        return samples


class _Microphone(MediaStreamTrack):
    """The mouth as one connection has it: aiortc ends a track together with its connection."""

    kind = "audio"

    def __init__(self, mouth: Mouth) -> None:
        super().__init__()
        self._mouth = mouth

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        return await self._mouth.recv()
