"""Starts the processes of the stack in order, keeps them running, and leaves none behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from domain.errors import first_of
from ops.cli.errors import Stop
from ops.stack.child import Child, ChildSpec, Task, birth, trim
from ops.stack.restarts import RESTARTS_MAX, RESTARTS_WINDOW_S, Restarts

PROBE_INTERVAL_S = 0.2
PROBE_TIMEOUT_S = 2.0
LOG_CHECK_INTERVAL_S = 30.0

# Called when the step begins, so that it can use what earlier steps left.
Step = Callable[[], ChildSpec | Task]
# Steps that do not need each other, and start together.
Stage = Sequence[Step]


@dataclass(frozen=True, slots=True)
class ChildState:
    """What `status` shows of one process."""

    name: str
    pid: int
    birth: str | None
    restarts: int
    log: Path


class Reporter:
    """Told what the supervisor does. This one keeps silent."""

    def began(self, name: str) -> None: ...

    def waiting(self, name: str, elapsed_s: float) -> None: ...

    def done(self, name: str, took_s: float) -> None: ...

    def died(self, name: str, code: int, retry_s: float) -> None: ...

    def stopping(self, name: str) -> None: ...


class Supervisor:
    """Runs once. `on_change` is called with all processes whenever one was started."""

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        logs: Path,
        reporter: Reporter,
        on_change: Callable[[Sequence[ChildState]], None],
    ) -> None:
        self._stages, self._logs, self._reporter, self._on_change = stages, logs, reporter, on_change
        self._children: list[Child] = []
        # Names in the order of the plan, which stopping reverses; restarts do not change it.
        self._order: list[str] = []
        self._states: dict[str, ChildState] = {}

    async def run(
        self, stop: asyncio.Event, hurry: asyncio.Event, *, on_ready: Callable[[], None] = lambda: None
    ) -> None:
        """Returns after `stop` was set and every process has ended; `hurry` cuts the waits short.

        Raises Stop when a step fails or a process dies too often; then, too, no process is left.
        """
        try:
            async with asyncio.TaskGroup() as group:
                work = group.create_task(self._work(on_ready))
                await stop.wait()
                work.cancel()
        except ExceptionGroup as failures:
            raise first_of(failures) from None
        finally:
            await self._stop_all(hurry)

    async def _work(self, on_ready: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._trim_logs())
            for stage in self._stages:
                async with asyncio.TaskGroup() as together:
                    for spec in [step() for step in stage]:
                        together.create_task(self._begin(spec, group))
            on_ready()

    async def _begin(self, spec: ChildSpec | Task, keepers: asyncio.TaskGroup) -> None:
        """Starts a process and waits until it answers, to keep it from then on; or runs a task to its end."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._order.append(spec.name)
        self._reporter.began(spec.name)
        child = await self._start(spec)
        match spec:
            case ChildSpec():
                await self._until_ready(child, spec, began)
                keepers.create_task(self._keep(child))
            case Task():
                await self._until_ended(child, spec, began)
                self._children.remove(child)
        self._reporter.done(spec.name, loop.time() - began)

    async def _start(self, spec: ChildSpec | Task) -> Child:
        child = await Child.start(spec, self._logs / f"{spec.name}.log")
        self._children.append(child)
        if isinstance(spec, ChildSpec):
            known = self._states.get(spec.name)
            self._states[spec.name] = ChildState(
                spec.name, child.pid, birth(child.pid), 0 if known is None else known.restarts + 1, child.log
            )
            self._on_change(tuple(self._states.values()))
        return child

    async def _until_ready(self, child: Child, spec: ChildSpec, began: float) -> None:
        loop = asyncio.get_running_loop()
        while not await _answers(spec):
            if not child.running:
                raise Stop(f"{spec.name} ended before it was ready ({child.last_line()}): read {child.log}.")
            elapsed_s = loop.time() - began
            if elapsed_s > spec.ready_within_s:
                raise Stop(f"{spec.name} was not ready after {spec.ready_within_s:.0f} s: read {child.log}.")
            self._reporter.waiting(spec.name, elapsed_s)
            await asyncio.sleep(PROBE_INTERVAL_S)

    async def _until_ended(self, child: Child, task: Task, began: float) -> None:
        loop = asyncio.get_running_loop()
        while child.running:
            elapsed_s = loop.time() - began
            if elapsed_s > task.within_s:
                raise Stop(f"{task.name} did not end within {task.within_s:.0f} s: read {child.log}.")
            self._reporter.waiting(task.name, elapsed_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), PROBE_INTERVAL_S)
        if await child.wait() != 0:
            raise Stop(child.last_line() or f"{task.name} failed: read {child.log}.")

    async def _keep(self, child: Child) -> None:
        """Starts a process again whenever it dies."""
        loop = asyncio.get_running_loop()
        restarts = Restarts()
        while True:
            code = await child.wait()
            # What it started may outlive it, and hold what the next one needs.
            await child.stop(within_s=0, hurry=asyncio.Event())
            self._children.remove(child)
            verdict = restarts.after_death(loop.time())
            if verdict is None:
                raise Stop(
                    f"{child.spec.name} died {RESTARTS_MAX + 1} times within {RESTARTS_WINDOW_S:.0f} s "
                    f"({child.last_line()}): read {child.log}, mend the cause and start again."
                )
            restarts, delay_s = verdict
            self._reporter.died(child.spec.name, code, delay_s)
            await asyncio.sleep(delay_s)
            child = await self._start(child.spec)

    async def _trim_logs(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECK_INTERVAL_S)
            for child in self._children:
                trim(child.log)

    async def _stop_all(self, hurry: asyncio.Event) -> None:
        """The last of the plan stops first: each may still use those before it."""
        for child in sorted(
            self._children, key=lambda child: self._order.index(child.spec.name), reverse=True
        ):
            self._reporter.stopping(child.spec.name)
            within_s = child.spec.stop_within_s if isinstance(child.spec, ChildSpec) else 0
            await child.stop(within_s=within_s, hurry=hurry)
            self._children.remove(child)


async def _answers(spec: ChildSpec) -> bool:
    try:
        return await asyncio.wait_for(spec.ready(), PROBE_TIMEOUT_S)
    except (OSError, TimeoutError):
        return False
