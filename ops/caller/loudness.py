"""What counts as speech in all that the caller reports: windows of 10 ms above -40 dBFS."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]

SAMPLE_RATE = 48_000
WINDOW_MS = 10
WINDOW_SAMPLES = SAMPLE_RATE * WINDOW_MS // 1000
SPEECH_DBFS = -40.0

# Mean square of a full-scale square wave is 0 dBFS.
_THRESHOLD = (32768.0**2) * 10 ** (SPEECH_DBFS / 10)


def speech_windows(pcm: Pcm) -> npt.NDArray[np.bool_]:
    """For each whole window of 480 samples (int16, mono, 48 kHz), whether it is speech."""
    count = len(pcm) // WINDOW_SAMPLES
    windows = pcm[: count * WINDOW_SAMPLES].reshape(count, WINDOW_SAMPLES).astype(np.float64)
    loud: npt.NDArray[np.bool_] = np.mean(windows**2, axis=1) > _THRESHOLD
    return loud


def speech_span(pcm: Pcm) -> tuple[int, int] | None:
    """Sample indices of the first sample of the first speech window and the last of the last one."""
    loud = np.flatnonzero(speech_windows(pcm))
    if len(loud) == 0:
        return None
    return int(loud[0]) * WINDOW_SAMPLES, (int(loud[-1]) + 1) * WINDOW_SAMPLES - 1
