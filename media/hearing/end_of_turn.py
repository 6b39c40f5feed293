"""How likely a speaker has finished: Smart Turn's network over the last eight seconds.

The features are Whisper's log-mel spectrogram: 25 ms windows every 10 ms, 80 mel bands on Slaney's scale.
"""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from media.hearing.inference import Network
from media.hearing.vad import samples_of

SAMPLE_RATE = 16_000
WINDOW_S = 8
WINDOW_SAMPLES = WINDOW_S * SAMPLE_RATE
WINDOW_BYTES = 2 * WINDOW_SAMPLES
FFT_SAMPLES = 400
HOP_SAMPLES = 160
BANDS = 80
POWER_MIN = 1e-10
DYNAMIC_RANGE = 8.0
"""Powers of ten below the loudest band that are kept."""
VARIANCE_MIN = 1e-7
LINEAR_TO_HZ = 1000.0
MEL_PER_HZ = 3.0 / 200.0
LOG_STEP = np.log(6.4) / 27.0


class EndOfTurn(Protocol):
    """Judges whether the speaker has finished. About 32 ms on one core: call it in an executor."""

    def probability(self, pcm16: bytes) -> float:
        """How likely the turn is over, 0 to 1, from mono 16 kHz audio that ends now.

        Only the last eight seconds count. The audio should hold the turn so far and nothing before it.
        """
        ...


class SmartTurn:
    """Smart Turn 3.2, shared by all sessions of a process; calls may run in several threads at once."""

    def __init__(self, path: Path) -> None:
        self._network = Network(path)
        self._window = np.hanning(FFT_SAMPLES + 1)[:-1]
        self._filters = _mel_filters()

    def probability(self, pcm16: bytes) -> float:
        """See EndOfTurn. Shorter audio is padded on the left, as the network was trained."""
        recent = samples_of(pcm16[-WINDOW_BYTES:])
        samples = np.pad(recent, (WINDOW_SAMPLES - recent.size, 0))
        (probability,) = self._network.run({"input_features": self.features(samples)[None]})
        return float(probability[0, 0])

    def features(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """(80, 800) log-mel features of exactly eight seconds."""
        levelled = (samples - samples.mean()) / np.sqrt(samples.var() + VARIANCE_MIN)
        padded = np.pad(levelled.astype(np.float64), FFT_SAMPLES // 2, mode="reflect")
        # The reference makes one frame more than it uses.
        frames = sliding_window_view(padded, FFT_SAMPLES)[::HOP_SAMPLES][: WINDOW_SAMPLES // HOP_SAMPLES]
        power = np.abs(np.fft.rfft(frames * self._window, axis=-1)) ** 2
        bands = np.log10(np.maximum(POWER_MIN, self._filters @ power.T))
        limited = np.maximum(bands, bands.max() - DYNAMIC_RANGE)
        scaled: NDArray[np.float32] = ((limited + 4.0) / 4.0).astype(np.float32)
        return scaled


def _mel_filters() -> NDArray[np.float64]:
    """(80, 201) triangles on Slaney's scale, each of area one."""
    top = _mel_of(SAMPLE_RATE / 2)
    edges = _hz_of(np.linspace(0.0, top, BANDS + 2))
    bins = np.linspace(0, SAMPLE_RATE / 2, FFT_SAMPLES // 2 + 1)
    widths = np.diff(edges)
    slopes = edges[:, None] - bins[None, :]
    rising = -slopes[:-2] / widths[:-1, None]
    falling = slopes[2:] / widths[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters: NDArray[np.float64] = triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return filters


def _mel_of(hz: float) -> float:
    if hz < LINEAR_TO_HZ:
        return hz * MEL_PER_HZ
    return float(LINEAR_TO_HZ * MEL_PER_HZ + np.log(hz / LINEAR_TO_HZ) / LOG_STEP)


def _hz_of(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    corner = LINEAR_TO_HZ * MEL_PER_HZ
    hz: NDArray[np.float64] = np.where(
        mels < corner, mels / MEL_PER_HZ, LINEAR_TO_HZ * np.exp(LOG_STEP * (mels - corner))
    )
    return hz
