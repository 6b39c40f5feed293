"""From times of speech to figures: who began when, after whom, and how long it took. Pure.

All times are seconds of one clock. They are those of packets: when the one that carried a sample was sent,
or arrived, before any buffer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Pauses inside a reply are shorter; after a longer one, what is heard is the beginning of another.
REPLY_GAP_S = 0.4
ANSWER_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Spoken:
    """One file as it was sent: when its first and its last speech sample left."""

    first_s: float
    last_s: float


@dataclass(frozen=True, slots=True)
class Run:
    """Persona speech without a pause of REPLY_GAP_S or more."""

    began_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class TurnLatency:
    """What followed one file. `latency_ms` is None where no answer came in time, and where the only answer
    had begun before the file's last speech."""

    latency_ms: float | None
    cut_ins: int
    # From the person's first speech sample to the persona's last, where they spoke over it.
    barge_in_silence_ms: float | None = None

    @property
    def counts(self) -> bool:
        """Whether it has a place in `each`: an answer that came too early has none."""
        return self.latency_ms is not None or self.cut_ins == 0


def measure(spoken: Sequence[Spoken], replies: Sequence[Run]) -> list[TurnLatency]:
    """One result per file. `replies` is all that was heard of the persona, in order."""
    # A reply that begins after the next file did belongs to that one.
    ends = [each.first_s for each in spoken[1:]] + [math.inf] * min(1, len(spoken))
    return [_turn(each, until_s, replies) for each, until_s in zip(spoken, ends, strict=True)]


def _turn(spoken: Spoken, until_s: float, replies: Sequence[Run]) -> TurnLatency:
    over = next((run for run in replies if run.began_s <= spoken.first_s < run.ended_s), None)
    cut_ins = sum(1 for run in replies if spoken.first_s < run.began_s < spoken.last_s)
    limit_s = min(until_s, spoken.last_s + ANSWER_WITHIN_S)
    after = next((run.began_s for run in replies if spoken.last_s <= run.began_s <= limit_s), None)
    return TurnLatency(
        latency_ms=None if after is None else (after - spoken.last_s) * 1000,
        cut_ins=cut_ins,
        barge_in_silence_ms=None if over is None else (over.ended_s - spoken.first_s) * 1000,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed. `values` must not be empty."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
