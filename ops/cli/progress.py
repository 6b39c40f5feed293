"""Progress for whatever takes longer than two seconds: a moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.status import Status

from ops.cli.output import aside, say
from ops.stack.supervisor import Reporter

QUIET_S = 2.0
PLAIN_INTERVAL_S = 10.0


class Progress:
    """One line that says what is going on. Without a terminal, a step is named once it has taken QUIET_S,
    and again each PLAIN_INTERVAL_S."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._status = Status(text, console=aside) if aside.is_terminal else None
        self._began = self._said = time.monotonic()
        self._silent = True

    def __enter__(self) -> Progress:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def step(self, text: str) -> None:
        """Something else has begun."""
        if text != self._text:
            self._text, self._silent = text, True
            self._began = self._said = time.monotonic()
        self.tick()

    def tick(self) -> None:
        """Still at it."""
        now = time.monotonic()
        elapsed_s = now - self._began
        if self._status is not None:
            shown = f"{self._text} … {elapsed_s:.0f} s" if elapsed_s >= QUIET_S else self._text
            self._status.update(shown)
        elif now - self._said >= (QUIET_S if self._silent else PLAIN_INTERVAL_S):
            self._silent, self._said = False, now
            say(f"{self._text} … {elapsed_s:.0f} s")

    def line(self, text: str) -> None:
        """A line that stays."""
        say(text)


class StackProgress(Reporter):
    """Shows how the stack starts and stops."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._pending: list[str] = []

    def began(self, name: str) -> None:
        self._pending.append(name)
        self._show()

    def waiting(self, name: str, elapsed_s: float) -> None:
        self._show()

    def done(self, name: str, took_s: float) -> None:
        self._pending.remove(name)
        self._progress.line(f"{name} is ready after {took_s:.1f} s")
        self._show()

    def died(self, name: str, code: int, retry_s: float) -> None:
        self._progress.line(f"{name} died (exit code {code}) and is started again in {retry_s:.1f} s")

    def stopping(self, name: str) -> None:
        self._progress.step(f"Stopping {name}")

    def _show(self) -> None:
        if self._pending:
            self._progress.step(f"Starting {', '.join(self._pending)}")
