"""Sounds that are easy to find again: a tone between silences."""

from __future__ import annotations

import numpy as np

from ops.caller.loudness import SAMPLE_RATE, Pcm


def silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)


def tone(seconds: float, *, dbfs: float = -12.0, hz: float = 300.0) -> Pcm:
    """A sine whose mean square is `dbfs` below full scale."""
    time_s = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    amplitude = 32768.0 * 10 ** (dbfs / 20) * np.sqrt(2)
    wave: Pcm = np.round(np.clip(amplitude * np.sin(2 * np.pi * hz * time_s), -32768, 32767)).astype(np.int16)
    return wave


def joined(*parts: Pcm) -> Pcm:
    return np.concatenate(parts)
