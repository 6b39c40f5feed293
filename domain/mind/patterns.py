"""Patterns that a policy brings along, matched by RE2 in time linear in the text, whatever they are."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol, cast

import re2  # type: ignore[import-untyped]

# What one compiled pattern may take in memory; RE2 refuses a pattern that needs more.
PATTERN_BYTES_MAX = 1 << 20
COMPILED_MAX = 4096

Span = tuple[int, int]


class PatternInvalid(ValueError):
    """The pattern is not one that RE2 takes."""


class _Compiled(Protocol):
    def finditer(self, text: str) -> Iterator[_Match]: ...


class _Match(Protocol):
    def span(self) -> Span: ...


@lru_cache(maxsize=COMPILED_MAX)
def _compile(pattern: str) -> _Compiled:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = PATTERN_BYTES_MAX
    try:
        return cast(_Compiled, re2.compile(pattern, options))
    except re2.error as error:
        detail = error.args[0] if error.args else "unknown error"
        text = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        raise PatternInvalid(f"the pattern cannot be used ({text}); it must be RE2 syntax") from None


def check(pattern: str) -> str:
    """Returns the pattern. Raises PatternInvalid for one that cannot be used or matches an empty text."""
    for span in _compile(pattern).finditer(""):
        raise PatternInvalid(
            f"the pattern matches an empty text at {span.span()[0]}, so it would stop everything"
        )
    return pattern


def find(pattern: str, text: str) -> list[Span]:
    """Where the pattern matches, from left to right, empty matches left out. Raises PatternInvalid."""
    spans = (match.span() for match in _compile(pattern).finditer(text))
    return [span for span in spans if span[1] > span[0]]
