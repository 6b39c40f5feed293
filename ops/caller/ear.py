"""What the caller hears, timed at the packet."""

from __future__ import annotations

import asyncio
import wave
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ops.caller.latency import REPLY_GAP_S, Run
from ops.caller.loudness import SAMPLE_RATE, WINDOW_SAMPLES, Pcm, speech_windows
from ops.caller.taps import Arrived

# Audio that did not arrive is written as silence, up to this much; beyond it the clock has jumped.
GAP_SAMPLES_MAX = 120 * SAMPLE_RATE
_RTP_CLOCK = 1 << 32


class Ear:
    """Decodes the persona's packets in the order of their arrival and notes when speech came.

    `runs` are stretches of persona speech between which there was silence of REPLY_GAP_S or more, counted in
    samples, so that a packet held up on the way does not begin a new reply.
    """

    def __init__(self, heard: Path | None = None) -> None:
        self._codec = _decoder()
        # Where the present connection's timestamps began, and what sample of the call that was.
        self._origin: int | None = None
        self._base = 0
        self._first_s: float | None = None
        self._written = 0
        self._last_speech_sample: int | None = None
        self._changed, self._arrived = asyncio.Event(), asyncio.Event()
        self._wave = None if heard is None else _wave(heard)
        self.runs: list[Run] = []
        self.packets = 0
        # When the last packet came, silent ones too.
        self.heard_until_s = 0.0

    @property
    def last_speech_s(self) -> float | None:
        return self.runs[-1].ended_s if self.runs else None

    def connect(self) -> None:
        """What arrives from now on belongs to a new connection, whose timestamps begin anew. The time between
        the two is silence."""
        self._codec, self._origin = _decoder(), None

    def on_arrived(self, packet: Arrived) -> None:
        """Told by the tap of the receiver."""
        self.packets += 1
        self.heard_until_s = packet.at_s
        self._arrived.set()
        if self._origin is None:
            self._origin, self._base = packet.timestamp, self._place(packet.at_s)
        elapsed = (packet.timestamp - self._origin) % _RTP_CLOCK
        position = self._base + elapsed
        if elapsed >= _RTP_CLOCK // 2 or position < self._written or not packet.payload:
            return  # A repeat, or too late to be of use.
        pcm = self._decode(packet.payload)
        self._write(position, pcm)
        for window, loud in enumerate(speech_windows(pcm)):
            if loud:
                self._heard_speech(position + window * WINDOW_SAMPLES, packet.at_s)

    async def reply_after(self, moment_s: float, *, within_s: float) -> Run | None:
        """The first run that began at that moment or later; None when none did in time."""
        loop = asyncio.get_running_loop()
        deadline_s = moment_s + within_s
        while True:
            found = next((run for run in self.runs if run.began_s >= moment_s), None)
            left_s = deadline_s - loop.time()
            if found is not None or left_s <= 0:
                return found
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left_s)

    async def silence(self, seconds: float, *, since_s: float = 0.0) -> None:
        """Returns when so much silence has been heard, counted from `since_s` at the earliest. Nothing at all
        is no silence: a connection that went dead in the middle of a sentence must not pass for its end."""
        while max(self.last_speech_s or 0.0, since_s) + seconds > self.heard_until_s:
            self._arrived.clear()
            await self._arrived.wait()

    def close(self) -> None:
        if self._wave is not None:
            self._wave.close()
            self._wave = None

    def _heard_speech(self, sample: int, at_s: float) -> None:
        last = self._last_speech_sample
        self._last_speech_sample = sample
        if last is None or (sample - last) / SAMPLE_RATE >= REPLY_GAP_S:
            self.runs.append(Run(at_s, at_s))
            self._changed.set()
        else:
            self.runs[-1] = Run(self.runs[-1].began_s, at_s)

    def _place(self, at_s: float) -> int:
        """The sample of the call at which a connection begins."""
        if self._first_s is None:
            self._first_s = at_s
        return max(self._written, round((at_s - self._first_s) * SAMPLE_RATE))

    def _decode(self, payload: bytes) -> Pcm:
        packet = av.Packet(payload)
        packet.time_base = Fraction(1, SAMPLE_RATE)
        pieces = [frame.to_ndarray().reshape(-1, 2) for frame in self._codec.decode(packet)]
        if not pieces:
            return np.zeros(0, np.int16)
        mono: Pcm = np.concatenate(pieces).astype(np.int32).mean(axis=1).astype(np.int16)
        return mono

    def _write(self, position: int, pcm: Pcm) -> None:
        if self._wave is not None:
            gap = min(position - self._written, GAP_SAMPLES_MAX)
            self._wave.writeframesraw(b"\0\0" * gap + pcm.tobytes())
        self._written = position + len(pcm)


def _decoder() -> av.AudioCodecContext:
    codec = av.CodecContext.create("libopus", "r")
    assert isinstance(codec, av.AudioCodecContext)
    codec.format, codec.layout, codec.sample_rate = "s16", "stereo", SAMPLE_RATE
    return codec


def _wave(path: Path) -> wave.Wave_write:
    file = wave.open(str(path), "wb")  # noqa: SIM115 - closed by the ear
    file.setnchannels(1)
    file.setsampwidth(2)
    file.setframerate(SAMPLE_RATE)
    return file
