"""Time that passes only when everybody waits, so that a bound of seconds is tested in none of them."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec

P = ParamSpec("P")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer instead of waiting for it.

    For what happens in this loop alone: while threads or sockets work, no time passes here.
    """

    def __init__(self) -> None:
        self._now_s = 1_000.0
        super().__init__(_Skipping(self))

    def time(self) -> float:
        return self._now_s

    def pass_time(self, seconds: float) -> None:
        """As if the loop had been held up for so long."""
        self._now_s += seconds


class _Skipping(selectors.DefaultSelector):
    """Answers at once, and moves the clock by what it was to wait."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("nothing is left that could happen: the test would wait for ever")
        ready = super().select(0)
        if not ready:
            self._loop.pass_time(max(0.0, timeout))
        return ready


class AtOnce(Executor):
    """A thread pool without threads: what is submitted is done, or raises, before `submit` returns."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs an async test in a loop of its own whose time is virtual."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


def virtual_loop() -> VirtualLoop:
    """The loop of the running test."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop
