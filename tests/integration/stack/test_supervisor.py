"""Real processes under the supervisor: started in order, kept running, gone at the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ops.cli.errors import Stop
from ops.stack import child as child_module
from ops.stack import restarts as restarts_module
from ops.stack.child import ChildSpec, Task, birth, trim
from ops.stack.restarts import BACKOFF_FIRST_S, BACKOFF_MAX_S, RESTARTS_MAX, RESTARTS_WINDOW_S, Restarts
from ops.stack.supervisor import ChildState, Reporter, Stage, Step, Supervisor

WAIT_S = 20.0


class Told(Reporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def began(self, name: str) -> None:
        self.lines.append(f"began {name}")

    def done(self, name: str, took_s: float) -> None:
        self.lines.append(f"done {name}")

    def died(self, name: str, code: int, retry_s: float) -> None:
        self.lines.append(f"died {name}")

    def stopping(self, name: str) -> None:
        self.lines.append(f"stopping {name}")


class Stack:
    """A supervisor in a folder of its own, and what it did."""

    def __init__(self, folder: Path, *stages: Stage) -> None:
        self.folder, self.told = folder, Told()
        self.states: Sequence[ChildState] = ()
        self.stop, self.hurry, self.ready = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.supervisor = Supervisor(stages, logs=folder, reporter=self.told, on_change=self._changed)

    def _changed(self, states: Sequence[ChildState]) -> None:
        self.states = states

    async def run(self) -> None:
        await self.supervisor.run(self.stop, self.hurry, on_ready=self.ready.set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.run())
        ready = asyncio.create_task(self.ready.wait())
        await asyncio.wait({task, ready}, timeout=WAIT_S, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        try:
            yield
        finally:
            self.stop.set()
            await asyncio.wait_for(task, WAIT_S)

    def pid(self, name: str) -> int:
        return next(state.pid for state in self.states if state.name == name)


def program(folder: Path, name: str, body: str) -> tuple[str, ...]:
    script = folder / f"{name}.py"
    script.write_text(
        f"import os, pathlib, signal, subprocess, sys, time\nhere = pathlib.Path({str(folder)!r})\n"
        + textwrap.dedent(body)
    )
    return (sys.executable, str(script))


def serving(folder: Path, name: str, body: str = "", *, stop_within_s: float = 5.0) -> Step:
    """A process that says that it is ready through a file, and then does nothing for long."""
    mark = folder / f"{name}.ready"
    command = program(
        folder, name, f"{textwrap.dedent(body)}\n(here / '{name}.ready').touch()\ntime.sleep(600)\n"
    )
    return lambda: ChildSpec(name, command, dict(os.environ), exists(mark), 10.0, stop_within_s)


def exists(path: Path) -> Callable[[], asyncio.Future[bool]]:
    def probe() -> asyncio.Future[bool]:
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        answer.set_result(path.exists())
        return answer

    return probe


def alive(pid: int) -> bool:
    return birth(pid) is not None


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - files and processes set no event
            await asyncio.sleep(0.02)


async def test_processes_start_in_order_and_stop_in_the_opposite_one(tmp_path: Path) -> None:
    stack = Stack(tmp_path, [serving(tmp_path, "first")], [serving(tmp_path, "second")])

    async with stack.running():
        pids = [state.pid for state in stack.states]
        assert all(map(alive, pids))

    assert stack.told.lines == [
        *("began first", "done first", "began second", "done second"),
        *("stopping second", "stopping first"),
    ]
    assert not any(map(alive, pids))


async def test_a_step_is_described_only_when_the_ones_before_it_are_done(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    task = Task("write", program(tmp_path, "write", "(here / 'out/address').write_text('here')"), {}, 10.0)
    seen: list[str] = []

    def second() -> ChildSpec | Task:
        seen.append((tmp_path / "out/address").read_text())
        return serving(tmp_path, "second")()

    async with Stack(tmp_path, [lambda: task], [second]).running():
        assert seen == ["here"]


async def test_a_process_that_dies_is_started_again(tmp_path: Path) -> None:
    stack = Stack(tmp_path, [serving(tmp_path, "server")])

    async with stack.running():
        first = stack.pid("server")
        os.kill(first, signal.SIGKILL)
        await until(lambda: stack.pid("server") != first)

        assert "died server" in stack.told.lines
        assert [state.restarts for state in stack.states] == [1]


async def test_what_a_dead_process_started_does_not_outlive_it(tmp_path: Path) -> None:
    body = """
    child = subprocess.Popen(["sleep", "600"])
    (here / "grandchild").write_text(str(child.pid))
    """
    stack = Stack(tmp_path, [serving(tmp_path, "server", body)])

    async with stack.running():
        grandchild = int((tmp_path / "grandchild").read_text())
        os.kill(stack.pid("server"), signal.SIGKILL)
        await until(lambda: not alive(grandchild))


async def test_a_process_that_dies_too_often_ends_the_stack_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restarts_module, "BACKOFF_FIRST_S", 0.001)
    # Ready at once, dead at once.
    command = program(tmp_path, "server", "(here / 'server.ready').touch(); print('no room'); sys.exit(3)")
    (tmp_path / "server.ready").touch()
    spec = ChildSpec("server", command, dict(os.environ), exists(tmp_path / "server.ready"), 10.0, 1.0)
    other = serving(tmp_path, "other")
    stack = Stack(tmp_path, [other], [lambda: spec])

    with pytest.raises(Stop, match=r"server died 6 times within 60 s \(no room\)"):
        await asyncio.wait_for(stack.run(), WAIT_S)

    assert not any(alive(state.pid) for state in stack.states)


async def test_a_process_that_ends_before_it_is_ready_ends_the_stack_with_its_last_words(
    tmp_path: Path,
) -> None:
    command = program(tmp_path, "server", "print('the folder is locked'); sys.exit(1)")
    spec = ChildSpec("server", command, dict(os.environ), exists(tmp_path / "never"), 10.0, 1.0)
    stack = Stack(tmp_path, [serving(tmp_path, "other")], [lambda: spec])

    with pytest.raises(Stop, match=r"server ended before it was ready \(the folder is locked\)"):
        await asyncio.wait_for(stack.run(), WAIT_S)

    assert not any(alive(state.pid) for state in stack.states)


async def test_a_process_that_never_gets_ready_ends_the_stack(tmp_path: Path) -> None:
    command = program(tmp_path, "server", "time.sleep(600)")
    spec = ChildSpec("server", command, dict(os.environ), exists(tmp_path / "never"), 0.3, 1.0)

    with pytest.raises(Stop, match="server was not ready after"):
        await asyncio.wait_for(Stack(tmp_path, [lambda: spec]).run(), WAIT_S)


async def test_a_task_that_fails_ends_the_stack_with_its_own_sentence(tmp_path: Path) -> None:
    task = Task("prepare", program(tmp_path, "prepare", "sys.exit('Make room on the disk.')"), {}, 10.0)

    with pytest.raises(Stop, match=r"^Make room on the disk\.$"):
        await asyncio.wait_for(Stack(tmp_path, [lambda: task]).run(), WAIT_S)


async def test_a_task_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    task = Task("prepare", program(tmp_path, "prepare", "time.sleep(600)"), {}, 0.3)

    with pytest.raises(Stop, match="prepare did not end within"):
        await asyncio.wait_for(Stack(tmp_path, [lambda: task]).run(), WAIT_S)


async def test_a_process_that_does_not_heed_sigterm_is_killed_after_its_time(tmp_path: Path) -> None:
    body = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    stack = Stack(tmp_path, [serving(tmp_path, "stubborn", body, stop_within_s=0.2)])

    async with stack.running():
        pid = stack.pid("stubborn")

    assert not alive(pid)


async def test_hurry_does_not_wait(tmp_path: Path) -> None:
    body = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    stack = Stack(tmp_path, [serving(tmp_path, "stubborn", body, stop_within_s=600.0)])

    async with stack.running():
        stack.hurry.set()


async def test_stopping_while_starting_leaves_nothing(tmp_path: Path) -> None:
    command = program(tmp_path, "slow", "time.sleep(600)")
    spec = ChildSpec("slow", command, dict(os.environ), exists(tmp_path / "never"), 600.0, 5.0)
    stack = Stack(tmp_path, [lambda: spec])
    running = asyncio.create_task(stack.run())
    await until(lambda: bool(stack.states))

    stack.stop.set()
    await asyncio.wait_for(running, WAIT_S)

    assert not alive(stack.pid("slow"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
async def test_killing_the_supervisor_itself_leaves_nothing(tmp_path: Path) -> None:
    holder = f"""
    child = subprocess.Popen(["sleep", "600"])
    def stop(*_):
        # The kernel tells it once for each thread of the supervisor that dies.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child.kill(); child.wait(); sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    pathlib.Path({str(tmp_path)!r}, "grandchild").write_text(str(child.pid))
    """
    supervisor = f"""
    import asyncio
    from pathlib import Path
    import tests.integration.stack.test_supervisor as t, dataclasses
    folder = Path({str(tmp_path)!r})
    holder = t.serving(folder, "holder", {textwrap.dedent(holder)!r})
    first = lambda: dataclasses.replace(holder(), orphan_signal=signal.SIGTERM)
    async def main():
        stack = t.Stack(folder, [first], [t.serving(folder, "server")])
        async with stack.running():
            pids = [str(state.pid) for state in stack.states] + [(folder / "grandchild").read_text()]
            (folder / "pids.part").write_text(" ".join(pids))
            (folder / "pids.part").rename(folder / "pids")
            await asyncio.sleep(600)
    asyncio.run(main())
    """
    root = Path(child_module.__file__).parents[2]
    process = await asyncio.create_subprocess_exec(
        *program(tmp_path, "supervisor", supervisor), env={**os.environ, "PYTHONPATH": str(root)}
    )
    await until((tmp_path / "pids").exists)
    pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 3
    assert all(map(alive, pids))

    process.kill()
    await process.wait()

    await until(lambda: not any(map(alive, pids)))


def test_the_wait_before_a_restart_doubles_up_to_a_limit() -> None:
    restarts, delays = Restarts(), []
    for death in range(RESTARTS_MAX):
        verdict = restarts.after_death(float(death))
        assert verdict is not None
        restarts, delay_s = verdict
        delays.append(delay_s)

    assert delays == [BACKOFF_FIRST_S * 2**n for n in range(RESTARTS_MAX)]
    assert max(delays) <= BACKOFF_MAX_S
    assert restarts.after_death(10.0) is None


def test_deaths_long_ago_are_forgiven() -> None:
    restarts = Restarts(tuple(float(n) for n in range(RESTARTS_MAX)))

    verdict = restarts.after_death(RESTARTS_WINDOW_S + RESTARTS_MAX)

    assert verdict == (Restarts((RESTARTS_WINDOW_S + RESTARTS_MAX,)), BACKOFF_FIRST_S)


def test_a_log_that_grew_too_long_is_moved_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "LOG_BYTES_MAX", 10)
    log = tmp_path / "api.log"
    with log.open("a") as writer:
        writer.write("0123456789a")
        writer.flush()

        trim(log)
        writer.write("on")

    assert log.read_text() == "on"
    assert (tmp_path / "api.log.1").read_text() == "0123456789a"
