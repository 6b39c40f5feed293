"""Where the ear's models run."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HearingThreads:
    """Recognition takes up to a quarter of a second at a time; a judgement must not wait behind it."""

    recognition: Executor
    judgement: Executor
