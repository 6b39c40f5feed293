"""One spelling for what can be written in many: digits that are read out, letters that are spelled, and
look-alike characters. Places in the new spelling lead back to places in the text."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

Span = tuple[int, int]

_TOKEN = re.compile(r"[^\W_]+|\+|\s+|.", re.DOTALL)
_UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: SIM905
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_DIGITS = (
    {word: str(n) for n, word in enumerate(_UNITS)}
    | {word: str(10 + n) for n, word in enumerate(_TEENS)}
    | {word: str(20 + 10 * n) for n, word in enumerate(_TENS)}
)
_TENS_SET = frozenset(_TENS)
_UNITS_SET = frozenset(_UNITS[1:])
_REPEATS = {"double": 2, "triple": 3, "treble": 3}
# These sound like a nought only beside other digits.
NOUGHTS = frozenset({"oh", "o", "nought", "naught"})
_JOINING = frozenset("-–—.,/'()")
_DASH_WORDS = frozenset({"dash", "hyphen"})
# Two letters of everyday English that stand alone without spelling anything.
_ALONE = frozenset({"a", "A", "I"})
_CAPITALS_MAX = 4
SPELLED_MAX = 64
# What stands further apart is no longer taken for parts of one number here; a card number dealt out in groups
# is found wherever they stand.
SEPARATORS_MAX = 8
_AMOUNT_DIGITS_MAX = 3
_STRAIGHT = str.maketrans(
    {
        "‘": "'",
        "’": "'",
        "‛": "'",
        "′": "'",
        "“": '"',
        "”": '"',
        "„": '"',
        "‐": "-",
        "‑": "-",
        "‒": "-",
        "−": "-",
    }
)


def clean(text: str) -> str:
    """The same words without what cannot be heard: invisible characters go, look-alikes become plain.

    It is the cleaned text that is judged and that is spoken, so that nothing hides between the two.
    """
    if text.isascii() and text.isprintable():
        return text
    out = []
    for char in text:
        kind = unicodedata.category(char)
        if kind == "Cf":
            continue
        if kind in ("Zs", "Zl", "Zp", "Cc"):
            out.append(" ")
        elif kind == "Nd":
            out.append(str(unicodedata.digit(char)))
        elif "\uff01" <= char <= "\uff5e":
            out.append(chr(ord(char) - 0xFEE0))
        else:
            out.append(char)
    return "".join(out).translate(_STRAIGHT)


@dataclass(frozen=True, slots=True)
class Spelled:
    """`text[i]` comes from characters `starts[i]` to `ends[i]` of the original."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def span(self, start: int, end: int) -> Span:
        """Where characters `start` to `end` of this spelling stand in the original."""
        return self.starts[start], self.ends[end - 1]

    def compact(self) -> Spelled:
        """Letters and digits alone."""
        kept = [i for i, char in enumerate(self.text) if char.isalnum()]
        return Spelled(
            "".join(self.text[i] for i in kept),
            tuple(self.starts[i] for i in kept),
            tuple(self.ends[i] for i in kept),
        )


@dataclass(slots=True)
class _Piece:
    text: str
    start: int
    end: int
    # Part of a number or of a code that is spelled, so that what separates it from its neighbour is no part.
    code: bool
    # Stands between the parts of a number without belonging to it.
    separates: bool = False


# The rules of one policy ask for the same text one after the other.
@lru_cache(maxsize=SPELLED_MAX)
def spell(text: str) -> Spelled:
    """Number words become digits, and the separators inside numbers and spelled codes go.

    "four one, double 1" becomes "4111", "M M dash 20" becomes "MM20"; everything else stays as it is.
    """
    pieces = _amounts(_numbers(_pieces(text)))
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for i, piece in enumerate(pieces):
        if piece.separates and _joins(pieces, i):
            continue
        one_each = len(piece.text) == piece.end - piece.start
        for n, char in enumerate(piece.text):
            letters.append(char)
            starts.append(piece.start + n if one_each else piece.start)
            ends.append(piece.start + n + 1 if one_each else piece.end)
    return Spelled("".join(letters), tuple(starts), tuple(ends))


def _pieces(text: str) -> list[_Piece]:
    pieces = []
    for match in _TOKEN.finditer(text):
        word = match.group()
        code = word == "+" or any(char.isdigit() for char in word) or _spelled_letters(word)
        separates = not code and (word.isspace() or word in _JOINING or word.lower() in _DASH_WORDS)
        pieces.append(_Piece(word, match.start(), match.end(), code, separates))
    return pieces


def _spelled_letters(word: str) -> bool:
    if not word.isalpha() or word in _ALONE:
        return False
    return len(word) == 1 or (len(word) <= _CAPITALS_MAX and word.isupper())


def _numbers(pieces: list[_Piece]) -> list[_Piece]:
    """Number words replaced by their digits, tens and units joined, repeats written out."""
    out: list[_Piece] = []
    i = 0
    while i < len(pieces):
        piece = pieces[i]
        word = piece.text.lower()
        after = _next_word(pieces, i)
        following = pieces[after].text.lower() if after is not None else ""
        if word in _REPEATS and after is not None and (digit := _digit(following)):
            out.append(_Piece(digit * _REPEATS[word], piece.start, pieces[after].end, True))
            i = after + 1
        elif word in _TENS_SET and after is not None and following in _UNITS_SET:
            out.append(_Piece(_DIGITS[word][0] + _DIGITS[following], piece.start, pieces[after].end, True))
            i = after + 1
        elif word in _DIGITS:
            out.append(_Piece(_DIGITS[word], piece.start, piece.end, True))
            i += 1
        elif word == "plus" and (following[:1].isdigit() or following in _DIGITS):
            out.append(_Piece("+", piece.start, piece.end, True))
            i += 1
        else:
            out.append(piece)
            i += 1
    return _noughts(out)


def _amounts(pieces: list[_Piece]) -> list[_Piece]:
    """ "18 thousand 4 hundred" becomes "18400"."""
    out: list[_Piece] = []
    i = 0
    while i < len(pieces):
        value, last = _amount(pieces, i)
        if last > i:
            out.append(_Piece(str(value), pieces[i].start, pieces[last].end, True))
        else:
            out.append(pieces[i])
        i = last + 1
    return out


def _amount(pieces: list[_Piece], first: int) -> tuple[int, int]:
    """The number that begins at piece `first` with its multiples, and the piece that it ends with."""
    if not _small_number(pieces[first]):
        return 0, first
    total, value, last, may_add = 0, int(pieces[first].text), first, False
    while (place := _next_word(pieces, last)) is not None:
        word = pieces[place].text.lower()
        follower = _next_word(pieces, place) if word == "and" and may_add else place
        if word == "hundred" and 0 < value < 100:
            value, may_add, last = value * 100, True, place
        elif word == "thousand" and value > 0 and total == 0:
            total, value, may_add, last = value * 1000, 0, True, place
        elif may_add and follower is not None and _small_number(pieces[follower]):
            value, may_add, last = value + int(pieces[follower].text), False, follower
        else:
            break
    return total + value, last


def _small_number(piece: _Piece) -> bool:
    return piece.text.isascii() and piece.text.isdigit() and len(piece.text) <= _AMOUNT_DIGITS_MAX


def _digit(word: str) -> str | None:
    if word in NOUGHTS:
        return "0"
    if len(word) == 1 and word.isdigit():
        return word
    return _DIGITS[word] if word in _UNITS else None


def _noughts(pieces: list[_Piece]) -> list[_Piece]:
    for i, piece in enumerate(pieces):
        if piece.text.lower() in NOUGHTS and any(
            neighbour is not None and pieces[neighbour].text[-1:].isdigit()
            for neighbour in (_next_word(pieces, i), _previous_word(pieces, i))
        ):
            piece.text, piece.code = "0", True
    return pieces


def _next_word(pieces: list[_Piece], i: int) -> int | None:
    """The word after piece `i`, with nothing but separators between."""
    for j in range(i + 1, min(len(pieces), i + 2 + SEPARATORS_MAX)):
        if not pieces[j].separates:
            return j
    return None


def _previous_word(pieces: list[_Piece], i: int) -> int | None:
    for j in range(i - 1, max(-1, i - 2 - SEPARATORS_MAX), -1):
        if not pieces[j].separates:
            return j
    return None


def _joins(pieces: list[_Piece], i: int) -> bool:
    """Whether piece `i` only separates two parts of one code."""
    before, after = _previous_word(pieces, i), _next_word(pieces, i)
    return before is not None and after is not None and pieces[before].code and pieces[after].code
