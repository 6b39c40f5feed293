"""Finds what must not be read out: numbers that identify, addresses, and secrets, written or spoken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from domain.mind import patterns
from domain.mind.persona import PersonalData, PersonalDataTest, SecretTest
from domain.mind.spelling import NOUGHTS, Span, Spelled, spell

CARD_DIGITS_MIN, CARD_DIGITS_MAX = 13, 19
PHONE_DIGITS_MIN, PHONE_DIGITS_MAX = 10, 15
IBAN_DIGITS_MIN = 8
# 00 and a country's code; a number without them that is shorter than this is too common to be known by.
PREFIX_DIGITS_MAX = 5
LOCAL_DIGITS_MIN = 7
# Nothing that may be read out has so many digits in a row, and trying every part of it would take long.
RUN_DIGITS_MAX = 60
# A card number that is dealt out over several phrases comes in groups of at least this many digits.
GROUP_DIGITS_MIN = 2
ALLOW_LISTS_MAX = 256

_DIGIT_RUN = re.compile(r"\d+")
_PHONE = re.compile(r"(?:\+|\b0)\d+")
_PHONE_GROUPED = re.compile(r"(?<!\d)\(?\d{3}\)?[\s.-]?\d{3}[\s.-]\d{4}(?!\d)")
_IBAN = re.compile(r"(?=([A-Z]{2}\d{2}[A-Z0-9]{11,30}))")
_TOP = (
    "com|org|net|info|biz|io|co|uk|de|fr|es|it|nl|eu|us|ca|au|ie|ch|at|be|xyz|site|online|shop|store|app|dev|ai|"
    "top|link|click|live|club|example|test|gov|edu|ru|cn|tv|ly|gg"
)
# Every repetition is bounded: these are tried at each place of a text, and must not make it quadratic.
_NAME = r"(?<![\w.+-])[\w.+-]{1,64}"
_LABEL = r"[\w-]{1,63}"
_EMAIL = re.compile(rf"{_NAME}@{_LABEL}(?:\.{_LABEL}){{1,5}}")
_EMAIL_SPOKEN = re.compile(
    rf"{_NAME}(?:\s(?:dot|dash|underscore|hyphen)\s{_LABEL}){{0,5}}\s(?:at|@)\s"
    rf"{_LABEL}(?:\s{_LABEL})?(?:(?:\sdot\s|\.){_LABEL}){{0,4}}(?:\sdot\s|\.)(?:{_TOP})\b",
    re.IGNORECASE,
)
_WEB = re.compile(
    rf"(?:https?://|\bwww\.)[^\s,;]{{1,200}}"
    rf"|(?<![@\w.-])(?:{_LABEL}\.){{1,5}}(?:{_TOP})\b(?!\.\w)(?:/[^\s,;]{{0,200}})?",
    re.IGNORECASE,
)
_WEB_SPOKEN = re.compile(
    rf"(?<![\w-])(?:www\sdot\s)?{_LABEL}(?:\sdot\s{_LABEL}){{0,4}}\sdot\s(?:{_TOP})\b", re.IGNORECASE
)
_SPOKEN_MARKS = {"dot": ".", "at": "@", "dash": "-", "hyphen": "-", "underscore": "_"}
_IBAN_LENGTHS = {
    **{"AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20, "ES": 24},
    **{"FI": 18, "FR": 27, "GB": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IS": 26, "IT": 27, "LI": 21},
    **{"LT": 20, "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24},
    **{"SE": 24, "SI": 19, "SK": 24, "SM": 27, "TR": 26, "AE": 23, "SA": 24, "IL": 23},
}


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was found, in one or several places of the text."""

    spans: tuple[Span, ...]
    data: PersonalData | None = None


def personal_data(test: PersonalDataTest, text: str) -> list[Hit]:
    """Everything that the test looks for, but what it allows."""
    spelled = spell(text)
    allowed_digits, allowed_words = _allowed(test.allow)
    hits: list[Hit] = []
    for kind in test.data:
        match kind:
            case PersonalData.CARD_NUMBER:
                found = list(_cards(text, spelled, allowed_digits))
            case PersonalData.IBAN:
                found = list(_ibans(spelled))
            case PersonalData.PHONE:
                found = list(_phones(text, spelled, allowed_digits))
            case PersonalData.EMAIL:
                found = list(_addresses(text, (_EMAIL, _EMAIL_SPOKEN), allowed_words))
            case PersonalData.WEB_ADDRESS:
                found = list(_web_addresses(text, allowed_words))
            case PersonalData.POLICY_NUMBER:
                found = list(_policy_numbers(test.policy_number_pattern, text, spelled))
        hits += [Hit(spans, kind) for spans in found]
    return hits


@lru_cache(maxsize=ALLOW_LISTS_MAX)
def _allowed(values: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    digits = (_digits(value) for value in values)
    return frozenset(value for value in digits if value), frozenset(_address(value) for value in values)


def secrets(test: SecretTest, text: str) -> list[Hit]:
    """Where one of the secrets stands as whole words, in any spelling, forwards or backwards."""
    compact = spell(text.lower()).compact()
    hits = []
    for secret in test.secrets:
        plain = spell(secret.lower()).compact().text
        for form in {plain, plain[::-1]} if plain else ():
            at = compact.text.find(form)
            while at >= 0:
                start, end = compact.span(at, at + len(form))
                if _whole_words(text, start, end):
                    hits.append(Hit(((start, end),)))
                at = compact.text.find(form, at + 1)
    return hits


def _whole_words(text: str, start: int, end: int) -> bool:
    before = start > 0 and text[start - 1].isalnum() and text[start].isalnum()
    after = end < len(text) and text[end].isalnum() and text[end - 1].isalnum()
    return not before and not after


# --- numbers -------------------------------------------------------------------------------------------
def _cards(text: str, spelled: Spelled, allowed: frozenset[str]) -> Iterator[tuple[Span, ...]]:
    runs = [m.span() for m in _DIGIT_RUN.finditer(spelled.text) if m.group() not in allowed]
    for first, last in runs:
        if last - first > RUN_DIGITS_MAX:
            yield (spelled.span(first, last),)
            continue
        for start, end in _card_windows(spelled.text[first:last]):
            yield (spelled.span(first + start, first + end),)
            break
    yield from _dealt_out(spelled, runs)
    # "Oh, 4111. Then 1111 …": beside a group, an "o" is as likely a sigh as a nought, and both are tried.
    bare = [_without_noughts(text, spelled, run) for run in runs]
    if bare != runs:
        yield from _dealt_out(spelled, [(a, b) for a, b in bare if spelled.text[a:b] not in allowed])


def _dealt_out(spelled: Spelled, runs: list[Span]) -> Iterator[tuple[Span, ...]]:
    """Card numbers whose digits are neighbouring runs, with words between them."""
    groups = [(a, b) for a, b in runs if GROUP_DIGITS_MIN <= b - a <= CARD_DIGITS_MAX]
    for first in range(len(groups)):
        digits = ""
        for last in range(first, len(groups)):
            start, end = groups[last]
            digits += spelled.text[start:end]
            if len(digits) > CARD_DIGITS_MAX:
                break
            if last > first and is_card_number(digits):
                yield tuple(spelled.span(*group) for group in groups[first : last + 1])


def _without_noughts(text: str, spelled: Spelled, run: Span) -> Span:
    """The run without an "o" or "oh" at its ends; a zero that was written or named stays."""
    start, end = run

    def is_nought(place: int) -> bool:
        first, last = spelled.span(place, place + 1)
        return text[first:last].lower() in NOUGHTS

    while start < end and is_nought(start):
        start += 1
    while end > start and is_nought(end - 1):
        end -= 1
    return start, end


def _card_windows(digits: str) -> Iterator[Span]:
    """Longest first, so that what is taken out is all of it."""
    for length in range(min(CARD_DIGITS_MAX, len(digits)), CARD_DIGITS_MIN - 1, -1):
        for start in range(len(digits) - length + 1):
            if is_card_number(digits[start : start + length]):
                yield start, start + length


def is_card_number(digits: str) -> bool:
    """Whether the digits begin as an issuer's do, are as many, and pass Luhn's check (ISO/IEC 7812)."""
    return _issued(digits) and luhn(digits)


def luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _issued(digits: str) -> bool:
    first2, first4, length = int(digits[:2]), int(digits[:4]), len(digits)
    return (
        (digits[0] == "4" and length in (13, 16, 19))
        or ((51 <= first2 <= 55 or 2221 <= first4 <= 2720) and length == 16)
        or (first2 in (34, 37) and length == 15)
        or (first2 in (30, 36, 38, 39) and length in (14, 16, 19))
        or (first2 in (35, 60, 62, 64, 65) and length in (16, 17, 18, 19))
        or (first2 in (50, 56, 57, 58, 63, 67) and CARD_DIGITS_MIN <= length <= CARD_DIGITS_MAX)
    )


def _ibans(spelled: Spelled) -> Iterator[tuple[Span, ...]]:
    for match in _IBAN.finditer(spelled.text.upper()):
        length = _IBAN_LENGTHS.get(match.group(1)[:2])
        if length is None or len(match.group(1)) < length:
            continue
        iban = match.group(1)[:length]
        moved = "".join(str(int(char, 36)) for char in iban[4:] + iban[:4])
        if sum(char.isdigit() for char in iban) >= IBAN_DIGITS_MIN and int(moved) % 97 == 1:
            yield (spelled.span(match.start(1), match.start(1) + length),)


def _phones(text: str, spelled: Spelled, allowed: frozenset[str]) -> Iterator[tuple[Span, ...]]:
    for match in _PHONE.finditer(spelled.text):
        digits = match.group().removeprefix("+")
        if PHONE_DIGITS_MIN <= len(digits) <= PHONE_DIGITS_MAX and not _allowed_number(digits, allowed):
            yield (spelled.span(match.start(), match.end()),)
    for match in _PHONE_GROUPED.finditer(text):
        if not _allowed_number(_digits(match.group()), allowed):
            yield (match.span(),)


def _allowed_number(digits: str, allowed: frozenset[str]) -> bool:
    """The same number with or without its country's prefix counts as the same."""
    return any(_same_number(digits, value) or _same_number(value, digits) for value in allowed)


def _same_number(longer: str, shorter: str) -> bool:
    local = shorter.lstrip("0")
    prefix = len(longer) - len(local)
    return longer.endswith(local) and 0 <= prefix <= PREFIX_DIGITS_MAX and len(local) >= LOCAL_DIGITS_MIN


def _policy_numbers(pattern: str | None, text: str, spelled: Spelled) -> Iterator[tuple[Span, ...]]:
    assert pattern is not None
    for span in patterns.find(pattern, text):
        yield (span,)
    for start, end in patterns.find(pattern, spelled.text):
        yield (spelled.span(start, end),)


def _digits(text: str) -> str:
    return "".join(char for char in spell(text).text if char.isdigit())


# --- addresses -----------------------------------------------------------------------------------------
def _addresses(
    text: str, shapes: tuple[re.Pattern[str], ...], allowed: frozenset[str]
) -> Iterator[tuple[Span, ...]]:
    for shape in shapes:
        for match in shape.finditer(text):
            if not any(_ends_with(_address(match.group()), value) for value in allowed):
                yield (match.span(),)


def _web_addresses(text: str, allowed: frozenset[str]) -> Iterator[tuple[Span, ...]]:
    mails = [match.span() for shape in (_EMAIL, _EMAIL_SPOKEN) for match in shape.finditer(text)]
    for spans in _addresses(text, (_WEB, _WEB_SPOKEN), allowed):
        start, end = spans[0]
        if not any(first <= start and end <= last for first, last in mails):
            yield spans


def _address(text: str) -> str:
    """An address as it is written, whatever way it was said."""
    words = [_SPOKEN_MARKS.get(word, word) for word in text.lower().split()]
    return "".join(words).removeprefix("https://").removeprefix("http://").removeprefix("www.").rstrip("./")


def _ends_with(address: str, allowed: str) -> bool:
    """The allowed address, with words before it that the spoken form cannot be told from."""
    if "@" in address:
        return address.endswith(allowed) and "@" in allowed
    return address == allowed or address.startswith(f"{allowed}/") or address.endswith(f".{allowed}")
