"""A stack from its start to its end: one at a time in a folder, and known to every other command there."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from media.models import verify_all
from ops.cli.errors import Stop
from ops.stack.child import birth, kill_group
from ops.stack.folder import DataFolder, Run, Running
from ops.stack.plan import Plan, check_port
from ops.stack.supervisor import ChildState, Reporter, Supervisor
from workflows.contracts import RELEASE

# Longer than all processes together may take to stop.
DOWN_WITHIN_S = 120.0
DOWN_POLL_S = 0.1


async def supervise(
    plan: Plan,
    reporter: Reporter,
    stop: asyncio.Event,
    hurry: asyncio.Event,
    *,
    on_ready: Callable[[Run], None],
) -> None:
    """Runs the stack until `stop` is set. Raises Stop or ModelError, and leaves no process behind."""
    plan.folder.open(product_version=RELEASE)
    with plan.folder.hold():
        clear_leftovers(plan.folder)
        check_port(plan.api_host, plan.api_port)
        await asyncio.to_thread(verify_all, plan.models_dir)
        run = Run(
            pid=os.getpid(),
            birth=birth(os.getpid()),
            started_at=datetime.now(UTC).isoformat(),
            api_url=plan.addresses.api_url,
            link=plan.link,
            temporal_address=plan.addresses.temporal,
        )

        def changed(states: Sequence[ChildState]) -> None:
            nonlocal run
            processes = tuple(
                Running(name=s.name, pid=s.pid, birth=s.birth, restarts=s.restarts, log=str(s.log))
                for s in states
            )
            run = run.model_copy(update={"processes": processes})
            plan.folder.write_run(run)

        def ready() -> None:
            nonlocal run
            run = run.model_copy(update={"ready": True})
            plan.folder.write_run(run)
            on_ready(run)

        plan.folder.write_run(run)
        supervisor = Supervisor(plan.stages(), logs=plan.folder.logs, reporter=reporter, on_change=changed)
        await supervisor.run(stop, hurry, on_ready=ready)


@asynccontextmanager
async def running(plan: Plan, reporter: Reporter) -> AsyncIterator[Run]:
    """A stack for the length of a block. Raises Stop or ModelError when it does not start."""
    stop, hurry = asyncio.Event(), asyncio.Event()
    ready: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        supervising = group.create_task(supervise(plan, reporter, stop, hurry, on_ready=ready.set_result))
        # A start that fails ends the group, and with it this wait.
        waiting: set[asyncio.Future[None] | asyncio.Future[Run]] = {supervising, ready}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            try:
                yield ready.result()
            finally:
                stop.set()


def clear_leftovers(folder: DataFolder) -> list[str]:
    """Kills what a supervisor that was killed has left, where the kernel did not. Call it only when no stack
    runs in the folder. Names of what was found."""
    run = folder.run()
    if run is None:
        return []
    found = [each for each in run.processes if each.birth is not None and birth(each.pid) == each.birth]
    for each in found:
        kill_group(each.pid)
    folder.run_file.unlink(missing_ok=True)
    return [each.name for each in found]


def bring_down(folder: DataFolder, waiting: Callable[[float], None]) -> bool:
    """Stops the stack of a folder and returns when it is gone; False when none ran. Blocking."""
    if not folder.held():
        if folder.root.exists():
            clear_leftovers(folder)
        return False
    run = folder.run()
    if run is None:
        raise Stop(f"A stack is just starting in {folder.root}: try again in a second.")
    with suppress(ProcessLookupError):
        os.kill(run.pid, signal.SIGTERM)
    began = time.monotonic()
    # It lets go of the folder a moment before it ends.
    while folder.held() or (run.birth is not None and birth(run.pid) == run.birth):
        waited_s = time.monotonic() - began
        if waited_s > DOWN_WITHIN_S:
            _kill(folder, run)
            return True
        waiting(waited_s)
        time.sleep(DOWN_POLL_S)
    return True


def _kill(folder: DataFolder, run: Run) -> None:
    """For a supervisor that does not heed: it, then all that it had started."""
    latest = folder.run() or run
    with suppress(ProcessLookupError):
        os.kill(latest.pid, signal.SIGKILL)
    clear_leftovers(folder)
