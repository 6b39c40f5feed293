"""When each recognised word was said."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from domain.conversation.words import Word

ATTENTION_FLOOR = 1e-4
WORD_MS_MIN = 20
"""A word keeps this length, so that nothing is said in no time."""
GAP_MS_MIN = 160
"""A shorter silence may be the closure of a consonant, inside a word."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, in milliseconds."""

    start_ms: int
    end_ms: int


def segments(attention: NDArray[np.float32]) -> list[tuple[int, int]]:
    """The stretch of audio frames that belongs to each token, from attention of shape (tokens, frames).

    Tokens follow one another, and every frame belongs to one: of all such divisions, the one whose frames pay
    their own token the most attention (largest product).
    """
    tokens, frames = attention.shape
    paid = np.log(attention.astype(np.float64) + ATTENTION_FLOOR)
    sums = np.concatenate([np.zeros((tokens, 1)), np.cumsum(paid, axis=1)], axis=1)
    places = np.arange(frames + 1)
    best = sums[0]
    chosen: list[NDArray[np.int64]] = []
    for row in sums[1:]:
        gain = best - row
        highest = np.maximum.accumulate(gain)
        chosen.append(np.maximum.accumulate(np.where(gain == highest, places, 0)))
        best = highest + row
    ends = [frames]
    for row_chosen in reversed(chosen):
        ends.append(int(row_chosen[ends[-1]]))
    ends.reverse()
    return list(zip([0, *ends[:-1]], ends, strict=True))


def spread(lengths: Sequence[int], voiced: Sequence[Span]) -> list[Span]:
    """Word spans when nothing is known but where someone spoke: by number of letters over the voiced time."""
    total_ms = sum(span.end_ms - span.start_ms for span in voiced)
    letters = sum(lengths)
    if not total_ms or not letters:
        return [Span(0, 0) for _ in lengths]
    edges = [total_ms * sum(lengths[:count]) / letters for count in range(len(lengths) + 1)]
    return [
        Span(_voiced_place(start, voiced, later=True), _voiced_place(end, voiced))
        for start, end in pairwise(edges)
    ]


def _voiced_place(voiced_ms: float, voiced: Sequence[Span], *, later: bool = False) -> int:
    """The time at which that much had been voiced; at a pause its begin, or its end when `later`."""
    for span in voiced:
        length = span.end_ms - span.start_ms
        if voiced_ms < length or (voiced_ms == length and not later):
            return round(span.start_ms + voiced_ms)
        voiced_ms -= length
    return voiced[-1].end_ms


def within_speech(words: Sequence[Word], voiced: Sequence[Span]) -> tuple[Word, ...]:
    """The same words with silence taken off, in order and without overlap.

    A word that reaches over a pause is placed on the side where more of it was said.
    """
    fitted: list[Word] = []
    earliest = 0
    for word in words:
        start, end = word.start_ms, word.end_ms
        parts = [
            Span(max(start, part.start_ms), min(end, part.end_ms))
            for part in _bridged(voiced)
            if part.start_ms < end and part.end_ms > start
        ]
        if parts:
            longest = max(parts, key=lambda part: part.end_ms - part.start_ms)
            start, end = longest.start_ms, longest.end_ms
        start = max(start, earliest)
        end = max(end, start + WORD_MS_MIN)
        fitted.append(replace(word, start_ms=start, end_ms=end))
        earliest = end
    return tuple(fitted)


def _bridged(voiced: Sequence[Span]) -> list[Span]:
    """Spans without the short silences that lie inside words."""
    joined: list[Span] = []
    for span in voiced:
        if joined and span.start_ms - joined[-1].end_ms < GAP_MS_MIN:
            joined[-1] = Span(joined[-1].start_ms, span.end_ms)
        else:
            joined.append(span)
    return joined
