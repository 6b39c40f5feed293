"""What of a sentence was played, and what a voice may be."""

from __future__ import annotations

import pytest

from domain.speech import (
    CALLER_VOICE,
    PITCH_MAX,
    PITCH_MIN,
    RATE_MAX,
    RATE_MIN,
    VOICES,
    SpokenWord,
    SynthesisedSentence,
    Voice,
    VoiceName,
    played_part,
    written_words,
)

TEXT = "  Your claim —\tis paid. "
WORDS = (
    SpokenWord("Your", 10, 110),
    SpokenWord("claim", 150, 450),
    SpokenWord("—", 450, 450),
    SpokenWord("is", 500, 600),
    SpokenWord("paid.", 620, 920),
)


def played(ms: int) -> tuple[str, int]:
    part = played_part(TEXT, WORDS, played_samples=ms * 48, sample_rate=48_000)
    return part.text, len(part.words)


@pytest.mark.parametrize(
    ("ms", "text", "count"),
    [
        (0, "", 0),
        (59, "", 0),
        (60, "  Your", 1),
        (299, "  Your", 1),
        (300, "  Your claim", 2),
        (449, "  Your claim", 2),
        (450, "  Your claim —", 3),
        (550, "  Your claim —\tis", 4),
        (769, "  Your claim —\tis", 4),
        (770, "  Your claim —\tis paid.", 5),
        (2000, "  Your claim —\tis paid.", 5),
    ],
)
def test_a_word_counts_as_played_once_half_of_it_was(ms: int, text: str, count: int) -> None:
    assert played(ms) == (text, count)


def test_a_word_without_length_at_the_very_start_does_not_count_while_nothing_was_played() -> None:
    words = (SpokenWord("—", 0, 0), SpokenWord("no", 10, 50))

    none = played_part("— no", words, played_samples=0, sample_rate=48_000)
    some = played_part("— no", words, played_samples=1, sample_rate=48_000)

    assert (none.text, some.text) == ("", "—")


def test_written_words_know_their_place() -> None:
    for word in written_words(TEXT):
        assert TEXT[word.start : word.end] == word.w
    assert [word.w for word in written_words(TEXT)] == TEXT.split()


def test_a_sentence_lasts_as_long_as_its_samples() -> None:
    assert SynthesisedSentence(bytes(2 * 12_000), 48_000, (), ()).duration_ms == 250


@pytest.mark.parametrize(
    ("pitch", "rate", "spread"),
    [
        (PITCH_MIN - 0.01, 1.0, 1.0),
        (PITCH_MAX + 0.01, 1.0, 1.0),
        (1.0, RATE_MIN - 0.01, 1.0),
        (1.0, RATE_MAX + 0.01, 1.0),
        (1.0, 1.0, -0.1),
        (1.0, 1.0, 2.1),
    ],
)
def test_a_voice_that_nobody_would_understand_is_refused(pitch: float, rate: float, spread: float) -> None:
    with pytest.raises(ValueError, match="must lie between"):
        Voice(VoiceName("strange"), pitch=pitch, rate=rate, pitch_range=spread)


def test_voices_are_kept_under_their_names() -> None:
    assert all(voice.name == name for name, voice in VOICES.items())
    assert len(VOICES) >= 4


def test_a_voice_is_varied_as_far_as_it_can_be_understood() -> None:
    voice = VOICES[CALLER_VOICE]

    assert voice.varied(pitch=1.1, rate=1.1).pitch == pytest.approx(voice.pitch * 1.1)
    assert voice.varied(pitch=0.5, rate=9.0) == Voice(
        CALLER_VOICE, pitch=PITCH_MIN, rate=RATE_MAX, pitch_range=voice.pitch_range
    )
