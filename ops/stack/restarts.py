"""How often a process that dies is started again."""

from __future__ import annotations

from dataclasses import dataclass

RESTARTS_MAX = 5
RESTARTS_WINDOW_S = 60.0
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 8.0


@dataclass(frozen=True, slots=True)
class Restarts:
    """The restarts of one process that still count, in seconds of a monotonic clock."""

    at_s: tuple[float, ...] = ()

    def after_death(self, now_s: float) -> tuple[Restarts, float] | None:
        """What counts from now on and the seconds to wait; None when it died too often to go on."""
        recent = tuple(at for at in self.at_s if now_s - at < RESTARTS_WINDOW_S)
        if len(recent) >= RESTARTS_MAX:
            return None
        delay_s: float = min(BACKOFF_FIRST_S * 2 ** len(recent), BACKOFF_MAX_S)
        return Restarts((*recent, now_s)), delay_s
