"""Streamed text into sentences, as soon as each is certain.

However the text is cut into pieces on its way here, the sentences are the same. No letter or digit is lost;
marks that stand alone, such as a bullet or a rule, are left out because there is nothing in them to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

# About fifteen seconds of speech: what a listener takes in at once, and what is gated and spoken as a whole.
SENTENCE_CHARS_MAX = 240
# A longer piece is cut at a clause only if that leaves at least this much before the cut.
CLAUSE_CHARS_MIN = 40
# How far past a full stop the next word is looked for, before the stop is taken as it stands.
LOOKAHEAD_CHARS = 16

_CLOSERS = "\"'”’)]»*_"
_END = re.compile(rf"([.!?…]+)([{re.escape(_CLOSERS)}]*)(?=\s)|\n")
_CLAUSE_MARK = re.compile(rf"[,;:—–][{re.escape(_CLOSERS)}]*(?=\s)|(?<=\s)[—–](?=\s)")
_CONJUNCTION = re.compile(r"\s(?=(?:and|but|or|so|because|which|while|when|if|that|then)\s)", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_OPENERS = "\"'“‘([«*_-•"
# Never the last word of a sentence: the name that they belong to follows.
_TITLES = """
    mr mrs ms mx dr prof st mt ft rev hon fr sr sra gen gov sen rep pres capt lt col sgt cmdr maj adm messrs
    vs cf e.g i.e al approx est ca
"""
# Months, days and firms: a sentence ends after one when a capital letter follows.
_ABBREVIATED = """
    etc inc ltd corp co bros jr dept univ assn govt ave blvd rd ln hwy apt bldg
    a.m p.m am pm u.s u.k u.n e.u d.c ph.d b.a m.a
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thurs fri sat sun
"""
# A sentence ends after one when no digit follows: "No." is an answer, "No. 5" a number.
_NUMBERED = "no nos art sec ch pp p para fig figs vol"
_BEFORE_A_NAME = frozenset(_TITLES.split())
_BEFORE_A_CAPITAL = frozenset(_ABBREVIATED.split())
_BEFORE_A_DIGIT = frozenset(_NUMBERED.split())


@dataclass(frozen=True, slots=True)
class SentenceBuffer:
    """What was received and not yet given out. Never longer than one piece and a sentence."""

    pending: str = ""

    def feed(self, text: str) -> tuple[tuple[str, ...], SentenceBuffer]:
        """The sentences that are now certain, and the buffer to go on with."""
        return _drain(self.pending + text, final=False)

    def finish(self) -> tuple[str, ...]:
        """What is left, at the end of the text."""
        sentences, _ = _drain(self.pending, final=True)
        return sentences


def split_sentences(text: str) -> tuple[str, ...]:
    """A whole text at once. Every sentence is at most SENTENCE_CHARS_MAX characters, on one line."""
    return _drain(text, final=True)[0]


def _drain(text: str, *, final: bool) -> tuple[tuple[str, ...], SentenceBuffer]:
    out: list[str] = []
    while True:
        # Leading white space may be as long as it likes; it is no part of a sentence.
        text = text.lstrip()
        cut = _next_cut(text, final=final)
        if cut is None:
            break
        _keep(out, text[:cut])
        text = text[cut:]
    if final:
        _keep(out, text)
        text = ""
    return tuple(out), SentenceBuffer(text)


def _keep(out: list[str], piece: str) -> None:
    sentence = _SPACE.sub(" ", piece).strip()
    if any(char.isalnum() for char in sentence):
        out.append(sentence)


def _next_cut(text: str, *, final: bool) -> int | None:
    """Where the first sentence ends; None while that is not certain. Looks no further than a bounded view,
    so that a decision never depends on how much more has arrived."""
    view = text[: SENTENCE_CHARS_MAX + LOOKAHEAD_CHARS]
    whole = len(view) == SENTENCE_CHARS_MAX + LOOKAHEAD_CHARS or final
    for mark in _END.finditer(view):
        if mark.end() > SENTENCE_CHARS_MAX:
            break
        ends = _ends_sentence(view, mark, whole=whole)
        if ends is None:
            return None
        if ends:
            return mark.end()
    if len(text) <= SENTENCE_CHARS_MAX or not whole:
        return None
    return _clause_cut(view[:SENTENCE_CHARS_MAX])


def _ends_sentence(view: str, mark: re.Match[str], *, whole: bool) -> bool | None:
    """None where the characters that decide have not arrived."""
    stops = mark.group(1)
    if stops is None:  # A line of its own: a list item or a paragraph.
        return True
    before = view[: mark.start()]
    word = _SPACE.split(before)[-1].lstrip(_OPENERS)
    if not any(char.isalnum() for char in before):
        return False
    following = view[mark.end() :].lstrip(" \t")
    following = following.lstrip(_OPENERS) if following[:1] != "\n" else following
    if mark.group(2) or stops.endswith(("…", "..")):
        # "Really?" he asked; "wait… no": what goes on in lower case is the same sentence.
        return _unless(following, str.islower, whole=whole)
    if stops != ".":
        return True
    if before == word and word.isdigit():
        return False  # "1." opens a list item.
    lowered = word.lower()
    if lowered in _BEFORE_A_DIGIT:
        return _unless(following, str.isdigit, whole=whole)
    if lowered in _BEFORE_A_NAME or (len(word) == 1 and word.isupper() and word != "I"):
        return False
    if lowered in _BEFORE_A_CAPITAL:
        return _unless(following, lambda c: not c.isupper(), whole=whole)
    return True


def _unless(following: str, goes_on: Callable[[str], bool], *, whole: bool) -> bool | None:
    if following:
        return not goes_on(following[0])
    return True if whole else None


def _clause_cut(view: str) -> int:
    """The last clause, else before the last conjunction, else the last space, else the view's end."""
    for pattern in (_CLAUSE_MARK, _CONJUNCTION, _SPACE):
        cuts = [match.end() for match in pattern.finditer(view) if match.end() >= CLAUSE_CHARS_MIN]
        if cuts:
            return cuts[-1]
    return len(view)
