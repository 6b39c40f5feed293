"""Where speech lies in a take, and its sounds and words after the cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from media.speaking.phonemes import RUN_PHONEMES_MAX, Phoneme, runs
from media.speaking.timing import LEAD_MS, TAIL_MS, Trim, sounds_of, spans_of_words, timed, trim_of

RATE = 24_000


def take(lead_ms: int, speech_ms: int, tail_ms: int, level: float = 0.1) -> npt.NDArray[np.float32]:
    wave = np.zeros((lead_ms + speech_ms + tail_ms) * RATE // 1000, np.float32)
    wave[lead_ms * RATE // 1000 : (lead_ms + speech_ms) * RATE // 1000] = level
    return wave


def spoken(text: str) -> list[Phoneme]:
    """One letter, one phoneme; spaces part the words."""
    out, word = [], 0
    for char in text:
        out.append(Phoneme(char, word))
        word += char == " "
    return out


def durations(*units: float) -> npt.NDArray[np.float32]:
    return np.asarray(units, np.float32)


def test_silence_around_speech_is_cut_to_the_named_remainders() -> None:
    trim = trim_of(take(320, 400, 480), RATE)

    assert trim.start == (320 - LEAD_MS) * RATE // 1000
    assert trim.end == (720 + TAIL_MS) * RATE // 1000
    assert trim.speech_start_s == pytest.approx(0.32)
    assert trim.speech_end_s == pytest.approx(0.72)


def test_a_take_that_ends_too_early_is_lengthened_and_one_that_begins_at_once_is_not() -> None:
    trim = trim_of(take(5, 400, 50), RATE)

    assert trim.start == 0
    assert trim.end == (405 + TAIL_MS) * RATE // 1000


def test_a_take_without_speech_is_left_as_it_is() -> None:
    wave = take(100, 100, 100, level=0.001)

    assert (trim_of(wave, RATE).start, trim_of(wave, RATE).end) == (0, len(wave))


def test_a_stress_mark_lends_its_time_to_the_sound_after_it() -> None:
    spans = timed(spoken("kˈat"), durations(0.3, 0.1, 0.02, 0.2, 0.1, 0.4))

    assert [(span.sound.phoneme, span.sound.stress) for span in spans] == [
        ("k", False),
        ("a", True),
        ("t", False),
    ]
    assert spans[1].sound.start_s == pytest.approx(0.4)
    assert spans[1].sound.end_s == pytest.approx(0.62)


def test_stress_reaches_over_consonants_to_its_vowel() -> None:
    spans = timed(spoken("ˈstap"), durations(0.3, 0.02, 0.1, 0.1, 0.2, 0.1, 0.4))

    assert [span.sound.stress for span in spans] == [True, True, True, False]


def test_a_length_mark_prolongs_the_sound_before_it() -> None:
    spans = timed(spoken("aːt"), durations(0.3, 0.1, 0.05, 0.1, 0.4))

    assert [span.sound.phoneme for span in spans] == ["a", "t"]
    assert spans[0].sound.end_s == pytest.approx(0.45)


def test_sounds_cover_the_whole_sentence_without_a_gap() -> None:
    spans = timed(spoken("no go."), durations(0.3, 0.1, 0.1, 0.05, 0.1, 0.2, 0.3, 0.1))
    trim = Trim(0, 0, start_s=0.25, speech_start_s=0.26, speech_end_s=0.75)

    sounds = sounds_of(spans, trim, length_s=0.62, at_s=0.0)

    assert [sounds[0].start_s, sounds[0].end_s] == pytest.approx([0.0, 0.01])
    assert [sounds[-1].start_s, sounds[-1].end_s] == pytest.approx([0.5, 0.62])
    assert [sound.phoneme for sound in sounds] == [" ", "n", "o", " ", "g", "o", " "]
    assert all(a.end_s == b.start_s for a, b in pairwise(sounds))


def test_speech_in_the_samples_corrects_the_first_and_the_last_word() -> None:
    spans = timed(spoken("no go."), durations(0.3, 0.1, 0.1, 0.05, 0.1, 0.2, 0.3, 0.1))
    trim = Trim(0, 0, start_s=0.25, speech_start_s=0.26, speech_end_s=0.75)

    words = spans_of_words(spans, trim, at_s=0.0)

    # The model has "no" begin at 0.30 s and "go" end at 0.85; speech is found from 0.26 to 0.75.
    # The cut is at 0.25.
    assert list(words[0]) == pytest.approx([0.01, 0.25])
    assert list(words[1]) == pytest.approx([0.3, 0.5])


def test_a_long_sentence_is_spoken_in_runs_that_end_at_a_clause() -> None:
    clause = "abcd efgh, "
    text = clause * (RUN_PHONEMES_MAX // len(clause) + 3)

    pieces = runs(spoken(text))

    assert len(pieces) == 2
    assert all(len(piece) <= RUN_PHONEMES_MAX for piece in pieces)
    assert "".join(phoneme.char for phoneme in pieces[0]).endswith("efgh, ")
    assert "".join(phoneme.char for piece in pieces for phoneme in piece) == text


def test_without_a_clause_a_run_ends_at_a_word_and_without_a_word_at_the_limit() -> None:
    by_word = runs(spoken("abcd " * RUN_PHONEMES_MAX))
    by_limit = runs(spoken("a" * (RUN_PHONEMES_MAX + 1)))

    assert all(piece[-1].char == " " for piece in by_word)
    assert [len(piece) for piece in by_limit] == [RUN_PHONEMES_MAX, 1]
