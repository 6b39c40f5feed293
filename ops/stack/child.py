"""One process of the stack: started in a session of its own, stopped for certain."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ops.devstack.orphan import die_with_parent

Probe = Callable[[], Awaitable[bool]]

LOG_BYTES_MAX = 32 << 20
LAST_LINE_BYTES = 4096
LAST_LINE_CHARACTERS_MAX = 240


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A process that runs for as long as the stack does."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Probe
    ready_within_s: float
    stop_within_s: float
    # What the kernel sends it when the supervisor dies without a word, once for each of its threads. One
    # with children of its own needs one that it can act on, and must bear it more than once.
    orphan_signal: signal.Signals = signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Task:
    """A command that runs to its end before the next step."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    within_s: float


class Child:
    """A running process. Its output goes to `log`, which is cut when it grows above LOG_BYTES_MAX."""

    def __init__(self, process: asyncio.subprocess.Process, spec: ChildSpec | Task, log: Path) -> None:
        self._process, self.spec, self.log = process, spec, log

    @classmethod
    async def start(cls, spec: ChildSpec | Task, log: Path) -> Child:
        """Starts the process. Must be called from the main thread: the kernel ties orphans to a thread."""
        orphan_signal = spec.orphan_signal if isinstance(spec, ChildSpec) else signal.SIGKILL
        trim(log)
        with log.open("ab") as sink:
            process = await asyncio.create_subprocess_exec(
                *spec.command,
                env=dict(spec.environment),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                # The terminal's Ctrl-C reaches the supervisor alone, which stops the children in order.
                start_new_session=True,
                preexec_fn=die_with_parent(orphan_signal),
            )
        return cls(process, spec, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> int:
        return await self._process.wait()

    async def stop(self, *, within_s: float, hurry: asyncio.Event) -> None:
        """Asks the process to end, waits at most `within_s` (not at all once `hurry` is set), then kills its
        whole group. Afterwards nothing of it is left."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        ended = asyncio.ensure_future(self._process.wait())
        hurried = asyncio.ensure_future(hurry.wait())
        try:
            await asyncio.wait({ended, hurried}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurried.cancel()
            kill_group(self.pid)
        await ended

    def last_line(self) -> str:
        """The last thing it wrote, for the sentence about its death."""
        return last_line(self.log)


def kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def last_line(log: Path) -> str:
    """The last line of a log that is not empty, shortened."""
    if not log.exists():
        return ""
    with log.open("rb") as source:
        source.seek(max(0, log.stat().st_size - LAST_LINE_BYTES))
        lines = [line.strip() for line in source.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:LAST_LINE_CHARACTERS_MAX] if lines else ""


def trim(log: Path) -> None:
    """Moves a log that grew too long aside. The writers append, so that they go on at its new end."""
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.with_suffix(".log.1").write_bytes(log.read_bytes())
        os.truncate(log, 0)


def birth(pid: int) -> str | None:
    """Tells a process from a later one with the same number; None when there is none."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        # The name, in parentheses, may itself hold spaces and parentheses; the state follows it.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    found = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or None
