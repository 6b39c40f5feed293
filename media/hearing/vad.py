"""Speech activity: Silero's network over 32 ms windows of a stream."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.hearing.inference import Network

SAMPLE_RATE = 16_000
WINDOW_SAMPLES = 512
WINDOW_MS = 32
CONTEXT_SAMPLES = 64
"""The network sees the end of the window before."""
BYTES_PER_SAMPLE = 2
FEED_BYTES_MAX = SAMPLE_RATE * BYTES_PER_SAMPLE
"""One call takes at most a second of audio, so that no caller holds up its loop with a long file (4 ms)."""


class TooMuchAudioAtOnce(Exception):
    """Feed a stream as it comes, or a file in pieces of at most FEED_BYTES_MAX."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"{size_bytes} bytes of audio in one call; the limit is {FEED_BYTES_MAX}")
        self.size_bytes = size_bytes


@dataclass(frozen=True, slots=True)
class HeardWindow:
    """32 ms of the stream and how surely someone speaks in them."""

    start_ms: int
    """From the stream's first sample."""
    speech: float
    """Probability."""
    pcm16: bytes
    """Mono, 16 kHz, signed 16-bit little-endian."""

    @property
    def end_ms(self) -> int:
        """From the stream's first sample."""
        return self.start_ms + WINDOW_MS


class SileroModel:
    """The loaded network, shared by all sessions of a process."""

    def __init__(self, path: Path) -> None:
        self.network = Network(path)


class SpeechActivity:
    """The speech activity of one stream. Costs 0.15 ms per window: call it where the audio arrives."""

    def __init__(self, model: SileroModel) -> None:
        self._network = model.network
        self._rest = b""
        self._windows = 0
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)

    @property
    def heard_ms(self) -> int:
        """The stream's length so far, in whole windows."""
        return self._windows * WINDOW_MS

    def feed(self, pcm16: bytes) -> list[HeardWindow]:
        """The windows that these bytes complete. A rest, also half a sample, is kept for the next call."""
        if len(pcm16) > FEED_BYTES_MAX:
            raise TooMuchAudioAtOnce(len(pcm16))
        size = WINDOW_SAMPLES * BYTES_PER_SAMPLE
        audio = self._rest + pcm16
        whole = len(audio) - len(audio) % size
        self._rest = audio[whole:]
        return [self._window(audio[place : place + size]) for place in range(0, whole, size)]

    def _window(self, pcm16: bytes) -> HeardWindow:
        samples = samples_of(pcm16)
        speech, self._state = self._network.run(
            {
                "input": np.concatenate([self._context, samples])[None, :],
                "state": self._state,
                "sr": np.array(SAMPLE_RATE, np.int64),
            }
        )
        self._context = samples[-CONTEXT_SAMPLES:]
        window = HeardWindow(self._windows * WINDOW_MS, float(speech[0, 0]), pcm16)
        self._windows += 1
        return window


def samples_of(pcm16: bytes) -> NDArray[np.float32]:
    """Signed 16-bit little-endian samples as floats in -1…1."""
    samples: NDArray[np.float32] = np.frombuffer(pcm16, "<i2").astype(np.float32) / np.float32(32768)
    return samples
