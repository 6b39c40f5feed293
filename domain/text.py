"""What text must be to be kept."""

from __future__ import annotations


def storable(text: str) -> bool:
    """Whether UTF-8 and Postgres can hold it: JSON can spell a NUL and half a surrogate pair."""
    return not any(char == "\x00" or "\ud800" <= char <= "\udfff" for char in text)
