"""How written words are read aloud: addresses, codes, long numbers and marks, word by word.

Plain words, amounts, dates, times and units are left to the synthesiser's own rules, which read them well.
Each written word keeps its place, so that what was played can be named in the words that were written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise

# Longer numbers without commas are claim, policy or account numbers, which people read digit by digit.
NUMBER_DIGITS_MAX = 4
# Longer amounts have no name that a listener knows, and the synthesiser's own table ends at 36 digits.
GROUPED_DIGITS_MAX = 15
# Letters of a code that are spelled; a longer run, as in COVID-19, is a word.
SPELLED_LETTERS_MAX = 3

_DOMAINS = "com|org|net|edu|gov|int|info|biz|io|ai|app|dev|co|eu|uk|us|de|fr|ca|au|nl|ie|example|test"
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.ASCII)
_SCHEME = re.compile(r"(?:https?|ftp)://", re.ASCII | re.IGNORECASE)
_HOST = re.compile(rf"(?:[a-z0-9-]+\.)+(?:{_DOMAINS})(?::\d+)?(?:[/?#]\S*)?", re.ASCII | re.IGNORECASE)
# A letter and one digit, as in MP3 or Q4, are a name that the synthesiser knows; a code has more of them.
_CODE = re.compile(r"(?=.*\d\d|.*\d.*[-/_]|.*[-/_].*\d)(?=.*[A-Z])[A-Z0-9]+(?:[-/_][A-Z0-9]+)*", re.ASCII)
_CODE_PART = re.compile(r"[A-Z]+|\d+", re.ASCII)
_PHONE = re.compile(r"\+?\(?\d+\)?(?:[-.]\(?\d+\)?)+", re.ASCII)
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_YEARS = re.compile(r"(?:1[5-9]|20)\d\d-(?:1[5-9]|20)?\d\d", re.ASCII)
_MASKED = re.compile(r"[*•·xX#]{2,}-?(\d{2,})", re.ASCII)
_AREA_CODE = re.compile(r"\(\d{3}\)", re.ASCII)
_NUMBER = re.compile(r"\d+", re.ASCII)
_GROUPED = re.compile(r"\d[\d,]*", re.ASCII)
_WELL_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+", re.ASCII)
_LINK = re.compile(r"\]\(\S*\)?")
_EDGES = re.compile(r"^([\"'“”‘’(<\[{]*)(.*?)([\"'“”‘’)>\]},.;:!?…—]*)$", re.DOTALL)
_MARKS = {"*": "", "_": " ", "`": "", "~": "", "[": "", "]": "", "{": "", "}": "", "<": "", ">": "", "|": ""}
# The synthesiser has words for these.
_KNOWN_NUMBERS = "²³½¼¾"
_ALWAYS = {"24/7": "24 7"}
_IN_ADDRESS = {
    ".": "dot",
    "-": "dash",
    "_": "underscore",
    "/": "slash",
    "+": "plus",
    "@": "at",
    "?": "question mark",
    "=": "equals",
    "&": "and",
    "#": "hash",
    ":": "colon",
    "%": "percent",
    "~": "tilde",
}
_PLAIN_PIECE = re.compile(r"[A-Za-z]+|\d", re.ASCII)
_ADDRESS_PIECE = re.compile(r"[A-Za-z]+|\d+|[^A-Za-z\d]", re.ASCII)


def readings(words: Sequence[str]) -> list[str]:
    """For each written word what is read for it: words of Latin letters, digits and punctuation, or "".

    A reading never has two digits of a number that must be read one by one in the same word.
    """
    cleaned = [_clean(word) for word in words]
    rows = _digit_rows(cleaned)
    return [_read(word, digit_by_digit=in_row) for word, in_row in zip(cleaned, rows, strict=True)]


def plain_readings(words: Sequence[str]) -> list[str]:
    """Letters and single digits only: nothing that any rule could stumble over."""
    return [" ".join(_PLAIN_PIECE.findall(_clean(word))) for word in words]


def _clean(word: str) -> str:
    if word.isascii():
        return "".join(c for c in word if c.isprintable())
    return "".join(_plain(char) for char in word)


def _plain(char: str) -> str:
    """A character as the synthesiser knows it; "" for a control character or a loose accent."""
    category = unicodedata.category(char)
    if char in _KNOWN_NUMBERS or char.isascii():
        return char if char.isprintable() else ""
    if category[0] == "N":
        # Digits of other scripts, circled and raised ones, ligatures of numbers and Roman numerals.
        digit = unicodedata.digit(char, None)
        if digit is not None:
            return str(digit)
        return unicodedata.normalize("NFKC", char).replace("⁄", "/")
    if category[0] == "L":
        # Ligatures and full-width letters are the same letters to a reader.
        return unicodedata.normalize("NFKC", char)
    return "" if category[0] in "CM" else char


def _digit_rows(words: Sequence[str]) -> list[bool]:
    """True for words in a row of three or more groups of digits, a card or telephone number, and for the
    area code in parentheses before a telephone number."""
    plain = [bool(_NUMBER.fullmatch(word.strip("+(),.;:!?"))) for word in words]
    rows = [False] * len(words)
    start = 0
    for at in range(len(words) + 1):
        if at == len(words) or not plain[at]:
            if at - start >= 3:
                rows[start:at] = [True] * (at - start)
            start = at + 1
    for at, (word, following) in enumerate(pairwise(words)):
        if _AREA_CODE.fullmatch(word) and following[:3].isdigit():
            rows[at] = True
    return rows


def _read(word: str, *, digit_by_digit: bool) -> str:
    match = _MASKED.match(word)
    if match:
        return one_by_one(match.group(1)) + word[match.end() :]
    word = _LINK.sub("", word)
    edges = _EDGES.match(word)
    if edges is None:  # Every part of the pattern may be empty.
        raise AssertionError("a word always has edges")
    before, core, after = edges.groups()
    return _marks(before) + _core(core, digit_by_digit=digit_by_digit) + _marks(after)


def _core(core: str, *, digit_by_digit: bool) -> str:
    scheme = _SCHEME.match(core)
    if scheme or _EMAIL.fullmatch(core) or _HOST.fullmatch(core):
        return _address(core[scheme.end() :] if scheme else core)
    if _CODE.fullmatch(core):
        return _code(core)
    if digit_by_digit or (_PHONE.fullmatch(core) and not _ISO_DATE.fullmatch(core) and _is_telephone(core)):
        return ", ".join(one_by_one(group) for group in _NUMBER.findall(core))
    if _NUMBER.fullmatch(core) and (len(core) > NUMBER_DIGITS_MAX or (core[0] == "0" and len(core) > 1)):
        return one_by_one(core)
    return _GROUPED.sub(_number, _marks(_ALWAYS.get(core, core)))


def _is_telephone(core: str) -> bool:
    groups = _NUMBER.findall(core)
    if _YEARS.fullmatch(core) or ("-" not in core and len(groups) < 4):
        return False
    return len(groups) > 2 or sum(map(len, groups)) >= 7


def _number(match: re.Match[str]) -> str:
    """A run of digits and commas inside a word: an amount as it stands, anything else so that it is heard."""
    number = match.group().rstrip(",")
    tail = match.group()[len(number) :]
    digits = number.replace(",", "")
    if len(digits) <= GROUPED_DIGITS_MAX and (number == digits or _WELL_GROUPED.fullmatch(number)):
        return match.group()
    return ", ".join(one_by_one(group) for group in number.split(",") if group) + tail


def one_by_one(digits: str) -> str:
    """Digits read singly, with a short pause after every third, or fourth where that comes out even."""
    size = 4 if len(digits) % 4 == 0 else 3
    return ", ".join(" ".join(digits[at : at + size]) for at in range(0, len(digits), size))


def _code(code: str) -> str:
    read, digits_before = "", False
    for part in _CODE_PART.findall(code):
        digits = part.isdigit()
        # Two groups of digits side by side would be heard as one number.
        read += ", " if digits and digits_before else " "
        read += _code_digits(part) if digits else _code_letters(part)
        digits_before = digits
    return read.strip()


def _code_digits(part: str) -> str:
    return part if len(part) <= 2 and part[0] != "0" else one_by_one(part)


def _code_letters(part: str) -> str:
    # Dots make the synthesiser name the letters; a bare A would become the article.
    return "".join(f"{letter}." for letter in part) if len(part) <= SPELLED_LETTERS_MAX else part


def _address(address: str) -> str:
    pieces = []
    for piece in _ADDRESS_PIECE.findall(address.rstrip("/")):
        if piece.isdigit():
            pieces.append(_code_digits(piece))
        elif piece.lower() == "www":
            pieces.append("w w w")
        elif piece.isascii() and piece.isalpha():
            pieces.append(piece)
        elif piece in _IN_ADDRESS:
            pieces.append(_IN_ADDRESS[piece])
    return " ".join(pieces)


def _marks(text: str) -> str:
    return "".join(_MARKS.get(char, char) for char in text)


def origins(spoken: Sequence[str], origin: Sequence[int], rewritten: Sequence[str]) -> list[int]:
    """Which written word each word of a rewritten text comes from.

    `spoken` was rewritten by rules that keep the order; `origin[k]` is the written word of `spoken[k]`.
    Where several words became several others, each keeps its share by length; the answer never decreases.
    """
    if not spoken:
        return [0] * len(rewritten)
    out: list[int] = []
    for tag, i, i_end, j, j_end in SequenceMatcher(None, spoken, rewritten, autojunk=False).get_opcodes():
        if tag == "equal":
            out += origin[i:i_end]
        elif tag == "insert":
            # What a rule adds belongs to the word that made it speak: "$3 billion" ends in "dollars".
            out += [origin[max(i - 1, 0)]] * (j_end - j)
        elif tag == "replace":
            out += _shares(spoken[i:i_end], origin[i:i_end], rewritten[j:j_end])
    return out


def _shares(spoken: Sequence[str], origin: Sequence[int], rewritten: Sequence[str]) -> list[int]:
    # A digit stands for about a word of speech, a letter for a letter.
    weights = [sum(5 if c.isdigit() else 1 for c in word) for word in spoken]
    ends = [sum(weights[: k + 1]) / sum(weights) for k in range(len(weights))]
    length = sum(map(len, rewritten))
    out, passed = [], 0.0
    for word in rewritten:
        middle = (passed + len(word) / 2) / length
        out.append(origin[next((k for k, end in enumerate(ends) if middle <= end), len(ends) - 1)])
        passed += len(word)
    return out
