"""From written words to the phonemes that Hibari speaks, each with the written word it belongs to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import hibari
from hibari.g2p import G2P
from hibari.g2p.normalize import normalize

from media.speaking.reading import origins, readings

# The model was trained on runs up to this length; a longer sentence is spoken in several.
RUN_PHONEMES_MAX = 400

STRESS_MARKS = frozenset("ˈˌ")
# These lengthen or colour the sound before them.
MODIFIERS = frozenset("ːʰʲ̃")
SILENT = frozenset(' ;:,.!?—…"()“”')
CLAUSE_ENDS = frozenset(";:,.!?—…")

_ASSETS = Path(hibari.__file__).parent / "assets"


@dataclass(frozen=True, slots=True)
class Phoneme:
    """A character of the model's alphabet. `word` counts the written words from 0."""

    char: str
    word: int


class Pronouncer:
    """Hibari's own rules and dictionary behind our readings. Loading takes about 0.4 s."""

    def __init__(self) -> None:
        self._g2p = G2P()
        vocabulary = json.loads((_ASSETS / "vocab.json").read_text(encoding="utf-8"))
        self._ids: dict[str, int] = {str(char): int(number) for char, number in vocabulary.items()}

    def ids(self, run: Sequence[Phoneme]) -> list[int]:
        """The model's input: the phonemes between two pauses."""
        return [0, *(self._ids[phoneme.char] for phoneme in run), 0]

    def pronounce(self, words: Sequence[str]) -> list[Phoneme]:
        """Every phoneme of the words, in order. Empty where nothing in them can be spoken."""
        spoken: list[str] = []
        origin: list[int] = []
        for number, reading in enumerate(readings(words)):
            pieces = reading.split()
            spoken += pieces
            origin += [number] * len(pieces)
        rewritten = normalize(" ".join(spoken))
        if not rewritten:
            return []
        owners = origins(spoken, origin, rewritten.split())
        tokens = self._g2p.phonemize_tokens(self._g2p.tokenize(rewritten))
        out: list[Phoneme] = []
        at = 0
        for token in tokens:
            owner = owners[min(at, len(owners) - 1)]
            out += [Phoneme(char, owner) for char in token.phonemes or "" if char in self._ids]
            if token.whitespace:
                out.append(Phoneme(" ", owner))
                at += 1
        return out if any(is_voice(phoneme) for phoneme in out) else []


def is_voice(phoneme: Phoneme) -> bool:
    """True for what has a sound of its own: no pause and no mark on another sound."""
    return phoneme.char not in SILENT and phoneme.char not in STRESS_MARKS and phoneme.char not in MODIFIERS


def runs(phonemes: Sequence[Phoneme], limit: int = RUN_PHONEMES_MAX) -> list[list[Phoneme]]:
    """Cuts at the last clause that fits, else at the last word, else where the limit falls."""
    out: list[list[Phoneme]] = []
    rest = list(phonemes)
    while len(rest) > limit:
        cut = (
            _last_space(rest, limit, after_clause=True)
            or _last_space(rest, limit, after_clause=False)
            or limit
        )
        out.append(rest[:cut])
        rest = rest[cut:]
    out.append(rest)
    return [run for run in out if any(is_voice(phoneme) for phoneme in run)]


def _last_space(phonemes: Sequence[Phoneme], limit: int, *, after_clause: bool) -> int:
    """The place after the last space within the limit; 0 where there is none."""
    for at in range(limit - 1, 0, -1):
        if phonemes[at].char == " " and (not after_clause or phonemes[at - 1].char in CLAUSE_ENDS):
            return at + 1
    return 0
