"""From written words to the phonemes that Hibari speaks, each with the written word it belongs to."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import hibari
from hibari.g2p import G2P
from hibari.g2p.normalize import normalize

from media.speaking.reading import origins, plain_readings, readings

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


class Token(Protocol):
    """What the dictionary says of a piece of text: `whitespace` where the text had some after it."""

    @property
    def phonemes(self) -> str | None: ...

    @property
    def whitespace(self) -> str: ...


Dictionary = Callable[[str], Sequence[Token]]


def hibari_dictionary() -> Dictionary:
    """Hibari's own rules and word list. Loading takes about 0.4 s."""
    g2p = G2P()

    def look_up(text: str) -> Sequence[Token]:
        tokens: Sequence[Token] = g2p.phonemize_tokens(g2p.tokenize(text))
        return tokens

    return look_up


class Pronouncer:
    """A dictionary behind our readings."""

    def __init__(self, dictionary: Dictionary) -> None:
        self._dictionary = dictionary
        vocabulary = json.loads((_ASSETS / "vocab.json").read_text(encoding="utf-8"))
        self._ids: dict[str, int] = {str(char): int(number) for char, number in vocabulary.items()}

    def ids(self, run: Sequence[Phoneme]) -> list[int]:
        """The model's input: the phonemes between two pauses."""
        return [0, *(self._ids[phoneme.char] for phoneme in run), 0]

    def pronounce(self, words: Sequence[str]) -> list[Phoneme]:
        """Every phoneme of the words, in order. Empty where nothing in them can be spoken."""
        try:
            phonemes = self._phonemes(readings(words))
        except (ValueError, LookupError, TypeError, AttributeError):
            # The dictionary's rules were made for prose and may stumble over a number or a symbol that
            # nobody foresaw. A sentence that is committed must be heard: spoken plainly is better than not.
            phonemes = self._phonemes(plain_readings(words))
        return phonemes if any(is_voice(phoneme) for phoneme in phonemes) else []

    def _phonemes(self, read: Sequence[str]) -> list[Phoneme]:
        pieces = [reading.split() for reading in read]
        spoken = [piece for group in pieces for piece in group]
        origin = [number for number, group in enumerate(pieces) for _ in group]
        rewritten = normalize(" ".join(spoken))
        if not rewritten:
            return []
        owners = origins(spoken, origin, rewritten.split())
        out: list[Phoneme] = []
        at = 0
        for token in self._dictionary(rewritten):
            owner = owners[min(at, len(owners) - 1)]
            out += [Phoneme(char, owner) for char in token.phonemes or "" if char in self._ids]
            if token.whitespace:
                out.append(Phoneme(" ", owner))
                at += 1
        return out


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
