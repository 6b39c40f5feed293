"""Sound between the connection's form (48 kHz, two channels) and the ear's (16 kHz, one)."""

from __future__ import annotations

import av
import numpy as np

CONNECTION_RATE, EAR_RATE = 48_000, 16_000


def mono_48k(frame: av.AudioFrame) -> bytes:
    """A decoded Opus frame (interleaved signed 16-bit, 48 kHz) as one channel."""
    channels = len(frame.layout.channels)
    samples = frame.to_ndarray().reshape(-1, channels)
    if channels == 1:
        return bytes(samples.astype("<i2").data)
    mixed = samples.astype(np.int32).sum(axis=1) // channels
    return bytes(mixed.astype("<i2").data)


class Downsampler:
    """48 kHz to 16 kHz of one stream, keeping the filter's state from call to call."""

    def __init__(self) -> None:
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=EAR_RATE)

    def feed(self, pcm16: bytes) -> bytes:
        """Mono PCM16 in and out; what the filter holds back comes with the next call."""
        samples = np.frombuffer(pcm16, "<i2").reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = CONNECTION_RATE
        return b"".join(out.to_ndarray().astype("<i2").tobytes() for out in self._resampler.resample(frame))
