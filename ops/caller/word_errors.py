"""How much of what was said was understood."""

from __future__ import annotations

import re

_NOT_IN_WORDS = re.compile(r"[^\w' ]+")


def word_error_rate(reference: str, heard: str) -> float:
    """Substitutions, insertions and deletions over the words of the reference; case and punctuation do not
    count. Can exceed 1. `reference` must hold a word."""
    wanted, found = _words(reference), _words(heard)
    # One row of the edit distance: what it costs to turn the words so far into each beginning of `found`.
    row = list(range(len(found) + 1))
    for taken, word in enumerate(wanted, start=1):
        diagonal, row[0] = row[0], taken
        for place, other in enumerate(found, start=1):
            kept = diagonal + (word != other)
            diagonal = row[place]
            row[place] = min(kept, row[place] + 1, row[place - 1] + 1)
    return row[-1] / len(wanted)


def _words(text: str) -> list[str]:
    return _NOT_IN_WORDS.sub(" ", text.lower()).split()
