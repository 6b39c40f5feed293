"""A sequencer's process that breaks itself on purpose: with `kill` at one statement boundary after the other,
each in a process of its own; with `pause` at one await after the other, until it is woken."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Generator
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import event

from activities.store.engine import create_engine
from activities.store.sequencer import Sequencer, lead_or_stand_by

# So short that a test need not wait long until another may lead.
LEASE = timedelta(milliseconds=250)
RENEW_INTERVAL_S = 0.05
STANDBY_INTERVAL_S = 0.02
# Small, so that what is killed stands in the middle of a backlog.
LIMIT = 5


class Stepping:
    """Awaits a coroutine and calls `step` wherever it gives up control and wherever it gets it back."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], step: Callable[[], None]) -> None:
        self._coroutine, self._step = coroutine, step

    def __await__(self) -> Generator[Any, Any, None]:
        go_on: Callable[[], Any] = partial(self._coroutine.send, None)
        while True:
            try:
                waits_for = go_on()
            except StopIteration:
                return
            self._step()
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001
                # As when a time-out cancels what it waits for.
                go_on = partial(self._coroutine.throw, error)
            else:
                go_on = partial(self._coroutine.send, None)
            self._step()


def leading(url: str, *, at_statement: Callable[[], None], step: Callable[[], None]) -> None:
    async def run() -> None:
        engine = create_engine(url, application_name="breaking sequencer", connections_max=2)
        for name in ("before_cursor_execute", "after_cursor_execute"):
            event.listen(engine.sync_engine, name, lambda *_: at_statement())
        sequencer = Sequencer(engine, holder=f"breaking {os.getpid()}", lease=LEASE)
        await Stepping(
            lead_or_stand_by(
                sequencer,
                asyncio.Event(),
                renew_interval_s=RENEW_INTERVAL_S,
                standby_interval_s=STANDBY_INTERVAL_S,
                limit=LIMIT,
            ),
            step,
        )

    asyncio.run(run())


def nothing() -> None: ...


def kill_at_each_boundary(url: str, boundaries: int) -> int:
    """0 when as many processes as `boundaries` led and were killed, each one boundary later than the last."""
    for number in range(1, boundaries + 1):
        child = os.fork()
        if child == 0:
            leading(url, at_statement=Countdown(number, signal.SIGKILL), step=nothing)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            return 1
    return 0


class Countdown:
    """At the n-th call it sends the signal to its own process."""

    def __init__(self, calls: int, number: signal.Signals) -> None:
        self._left, self._signal = calls, number

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), self._signal)


class PauseLaterEachTime:
    """Stops the process at the first call, the second after that, the third after that, and so on."""

    def __init__(self) -> None:
        self._target = self._left = 1

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._target += 1
            self._left = self._target
            os.kill(os.getpid(), signal.SIGSTOP)


def main(mode: str, url: str, count: str) -> int:
    # Its words are nobody's to read.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if mode == "kill":
        return kill_at_each_boundary(url, int(count))
    leading(url, at_statement=nothing, step=PauseLaterEachTime())
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
