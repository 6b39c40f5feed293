"""Sentences for tests: a tone of given length with words of equal length."""

from __future__ import annotations

from uuid import UUID

import numpy as np

from domain.ids import SentenceId
from domain.speech import Sound, SpokenWord, SynthesisedSentence
from media.speaking.playout import SAMPLE_RATE

LEVEL = 10_000


def sentence_id(number: int) -> SentenceId:
    return SentenceId(UUID(int=number))


def speech(text: str, samples: int, *, rate: int = SAMPLE_RATE) -> SynthesisedSentence:
    """Every sample has LEVEL, so that any sample handed out can be told from silence."""
    words = text.split()
    edges = [samples * 1000 * number // (rate * max(1, len(words))) for number in range(len(words) + 1)]
    return SynthesisedSentence(
        np.full(samples, LEVEL, "<i2").tobytes(),
        rate,
        (Sound("a", 0.0, samples / rate),),
        tuple(SpokenWord(word, a, b) for word, a, b in zip(words, edges[:-1], edges[1:], strict=True)),
    )


def loud_samples(frame: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(frame, "<i2")))
