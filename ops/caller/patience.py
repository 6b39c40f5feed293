"""How long a caller goes on after its connection was lost: the call page's own rule, and a count of attempts.
Pure: times are seconds of one clock, and arguments."""

from __future__ import annotations

from dataclasses import dataclass

from ops.caller.errors import CallFailed

RECONNECT_ATTEMPTS_MAX = 8
RECONNECT_WITHIN_S = 90.0
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 5.0
# A connection that stood this long starts the count anew; one that drops at once does not.
STABLE_S = 3.0


@dataclass(frozen=True, slots=True)
class Patience:
    """What has been tried since the call was last in order."""

    attempts: int = 0
    since_s: float | None = None

    def after_loss(self, now_s: float, *, stood_s: float) -> Patience:
        """A connection that had stood for `stood_s` is gone; 0 where none was made."""
        if self.since_s is None or stood_s >= STABLE_S:
            return Patience(0, now_s)
        return self

    def next_attempt(self, now_s: float, trouble: CallFailed) -> tuple[Patience, float]:
        """The patience with one attempt more, and the seconds to wait before it. Raises CallFailed, with what
        stood in the way last, when it is at its end."""
        began_s = now_s if self.since_s is None else self.since_s
        if self.attempts >= RECONNECT_ATTEMPTS_MAX or now_s - began_s > RECONNECT_WITHIN_S:
            raise CallFailed(
                f"The connection was lost and could not be restored in {self.attempts} attempts and "
                f"{now_s - began_s:.0f} s. {trouble}"
            )
        wait_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2**self.attempts)
        return Patience(self.attempts + 1, began_s), wait_s
