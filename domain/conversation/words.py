"""A word with its place in time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """Milliseconds on the timeline of whoever holds it; a persona's own words carry confidence 1."""

    w: str
    start_ms: int
    end_ms: int
    confidence: float = 1.0
