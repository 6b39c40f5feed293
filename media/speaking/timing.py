"""Where speech begins and ends in a take, and where its sounds and words lie once the silence is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from domain.speech import Sound
from media.speaking.phonemes import MODIFIERS, SILENT, STRESS_MARKS, Phoneme

# Silence is digital in these voices, so that the faintest start of a fricative is well above this.
SPEECH_DBFS_MIN = -50.0
WINDOW_MS = 5
# What is kept around the speech. The lead is all that a listener waits for; the tail lets a voice die away.
LEAD_MS = 10
TAIL_MS = 120

_VOWELS = frozenset("ɑɒaɐæɛeiɪᵻəʌᵊɔouʊɜɚAIWOYQ")


@dataclass(frozen=True, slots=True)
class Timed:
    """A sound on the axis of the untrimmed take, in seconds, and its written word; None for a silence."""

    sound: Sound
    word: int | None


@dataclass(frozen=True, slots=True)
class Trim:
    """What is kept of a take, and where speech lies in it. Samples, and seconds of the untrimmed take.

    `end` may lie beyond the take, where it must be lengthened by silence.
    """

    start: int
    end: int
    start_s: float
    speech_start_s: float
    speech_end_s: float


def trim_of(wave: npt.NDArray[np.float32], rate: int) -> Trim:
    """LEAD_MS before the first, where there is so much, and TAIL_MS after the last window above
    SPEECH_DBFS_MIN; all of a take without one."""
    window = rate * WINDOW_MS // 1000
    count = len(wave) // window
    power = np.square(wave[: count * window]).reshape(count, window).mean(axis=1)
    loud = np.flatnonzero(power > 10.0 ** (SPEECH_DBFS_MIN / 10.0))
    if not len(loud):
        return Trim(0, len(wave), 0.0, 0.0, len(wave) / rate)
    first, last = int(loud[0]) * window, (int(loud[-1]) + 1) * window
    start = max(0, first - rate * LEAD_MS // 1000)
    end = last + rate * TAIL_MS // 1000
    return Trim(start, end, start / rate, first / rate, last / rate)


def timed(run: Sequence[Phoneme], durations_s: npt.NDArray[np.float32]) -> tuple[Timed, ...]:
    """Phonemes with the model's durations, which hold one more at either end for the pauses there.

    A mark has a duration too: that of a stress mark belongs to the sound after it, that of a modifier to
    the sound before it.
    """
    ends = np.cumsum(durations_s, dtype=np.float64)
    out: list[Timed] = []
    stress, begun = False, None
    for phoneme, begins, stops in zip(run, ends[:-2].tolist(), ends[1:-1].tolist(), strict=True):
        if phoneme.char in STRESS_MARKS:
            stress, begun = True, begins if begun is None else begun
            continue
        if phoneme.char in MODIFIERS and out:
            before = out[-1]
            grown = Sound(before.sound.phoneme, before.sound.start_s, stops, before.sound.stress)
            out[-1] = Timed(grown, before.word)
            continue
        silent = phoneme.char in SILENT
        sound = Sound(phoneme.char, begins if begun is None else begun, stops, stress and not silent)
        out.append(Timed(sound, None if silent else phoneme.word))
        # The mark stands before the syllable, so consonants carry it on to the vowel.
        stress, begun = stress and not silent and phoneme.char not in _VOWELS, None
    return tuple(out)


def sounds_of(spans: Sequence[Timed], trim: Trim, *, length_s: float, at_s: float) -> list[Sound]:
    """The take's sounds from `at_s` on, without a gap, with the silence that was kept around them.

    The model's durations place the first sound late and let the last one run on into the silence; speech,
    as it was found in the samples, sets both right.
    """
    voices = [span.word is not None for span in spans]
    first, last = voices.index(True), len(voices) - 1 - voices[::-1].index(True)
    lead_s = trim.speech_start_s - trim.start_s
    out = [Sound(" ", at_s, at_s + lead_s)]
    for number in range(first, last + 1):
        sound = spans[number].sound
        end = _within(sound.end_s, trim) if number < last else trim.speech_end_s
        end_s = at_s + end - trim.start_s
        if end_s > out[-1].end_s:
            out.append(Sound(sound.phoneme, out[-1].end_s, end_s, sound.stress))
    out.append(Sound(" ", out[-1].end_s, max(out[-1].end_s, at_s + length_s)))
    return out


def spans_of_words(spans: Sequence[Timed], trim: Trim, *, at_s: float) -> dict[int, tuple[float, float]]:
    """For each written word that sounds in the take: when it does, from its first sound to its last."""
    out: dict[int, tuple[float, float]] = {}
    voiced = [span for span in spans if span.word is not None]
    for place, span in enumerate(voiced):
        if span.word is None:
            continue
        start = trim.speech_start_s if place == 0 else _within(span.sound.start_s, trim)
        end = trim.speech_end_s if place == len(voiced) - 1 else _within(span.sound.end_s, trim)
        known = out.get(span.word)
        start_s = start - trim.start_s + at_s
        out[span.word] = (start_s if known is None else known[0], max(end - trim.start_s + at_s, start_s))
    return out


def _within(moment_s: float, trim: Trim) -> float:
    return min(max(moment_s, trim.speech_start_s), trim.speech_end_s)
