"""Phonemes belong to the written words that they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from media.speaking.phonemes import Pronouncer


@dataclass(frozen=True)
class Entry:
    phonemes: str | None
    whitespace: str


def spelling(text: str) -> Sequence[Entry]:
    """Every word sounds as it is written."""
    words = text.split()
    return [Entry(word.lower(), " " if at < len(words) - 1 else "") for at, word in enumerate(words)]


def stumbling(text: str) -> Sequence[Entry]:
    """Knows no sign but letters and single digits."""
    if any(len(word) > 1 and not word.isalpha() for word in text.split()):
        raise ValueError("invalid literal")
    return spelling(text)


def by_word(pronouncer: Pronouncer, text: str) -> list[str]:
    words = text.split()
    out = [""] * len(words)
    for phoneme in pronouncer.pronounce(words):
        out[phoneme.word] += phoneme.char
    return [sounds.strip() for sounds in out]


def test_each_word_keeps_its_own_phonemes() -> None:
    assert by_word(Pronouncer(spelling), "we paid it") == ["we", "paid", "it"]


def test_all_that_is_read_for_a_word_is_its_own() -> None:
    assert by_word(Pronouncer(spelling), "to a@b.example now") == ["to", "a at b dot example", "now"]


def test_a_word_that_cannot_be_spoken_has_no_phonemes() -> None:
    assert by_word(Pronouncer(spelling), "yes 👍 no") == ["yes", "", "no"]


def test_nothing_to_speak_is_empty() -> None:
    assert Pronouncer(spelling).pronounce(["👍", "—"]) == []


def test_where_the_dictionary_stumbles_the_sentence_is_read_plainly() -> None:
    assert by_word(Pronouncer(stumbling), "pay in%voice now") == ["pay", "in voice", "now"]


def test_the_models_input_has_a_pause_at_either_end() -> None:
    pronouncer = Pronouncer(spelling)

    ids = pronouncer.ids(pronouncer.pronounce(["no"]))

    assert (ids[0], ids[-1], len(ids)) == (0, 0, 4)
