"""Keeps one embedded Postgres running for as long as somebody holds it, and not a moment longer.

A process of its own, standard library only. Holders hold a shared lock on a file; the kernel drops it when
they end, however they end. The keeper waits for the exclusive one: when it has it, nobody is left.

SIGUSR1 stops the server and SIGUSR2 starts it again at the same address; SIGTERM stops it for good.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import IO

FAST_STOP_S = 20.0
IMMEDIATE_STOP_S = 5.0
# A server that was killed is started again; one that ends this often without having lived is given up.
SHORT_LIVES_MAX = 5
SHORT_LIFE_S = 5.0
RESTART_PAUSE_S = 0.5

_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """On Linux the kernel asks the server for a fast shutdown when the keeper itself is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


class Keeper:
    def __init__(self, command: list[str], *, user: str | None, log: IO[bytes]) -> None:
        self._command, self._user, self._log = command, user, log
        # Bounded by what can happen: one release, one exit for each start, and the signals of one person.
        self._happened: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._server: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._short_lives = 0

    def run(self, holders: Path) -> int:
        for number, name in (
            (signal.SIGTERM, "end"),
            (signal.SIGINT, "end"),
            (signal.SIGUSR1, "stop"),
            (signal.SIGUSR2, "start"),
        ):
            signal.signal(number, self._say(name))
        threading.Thread(target=self._await_release, args=(holders,), daemon=True).start()
        self._start()
        while True:
            match self._happened.get():
                case "end":
                    self._stop()
                    return 0
                case "stop":
                    self._stop()
                case "start":
                    self._start()
                case "exited" if self._server is not None and self._server.poll() is not None:
                    self._server = None
                    if time.monotonic() - self._started_at < SHORT_LIFE_S:
                        self._short_lives += 1
                    else:
                        self._short_lives = 0
                    if self._short_lives >= SHORT_LIVES_MAX:
                        return 1
                    time.sleep(RESTART_PAUSE_S)
                    self._start()

    def _say(self, name: str) -> Callable[[int, FrameType | None], None]:
        return lambda _number, _frame: self._happened.put(name)

    def _await_release(self, holders: Path) -> None:
        descriptor = os.open(holders, os.O_RDWR)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Kept open and locked to the end: who wants the server now waits until this one is gone.
        self._happened.put("end")

    def _start(self) -> None:
        if self._server is not None:
            return
        self._started_at = time.monotonic()
        # From the main thread: the kernel's "parent" is the thread that started the child.
        server = subprocess.Popen(  # noqa: S603
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd="/",
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
            preexec_fn=_die_with_parent,  # noqa: PLW1509
            start_new_session=True,
        )
        self._server = server
        threading.Thread(target=self._await_exit, args=(server,), daemon=True).start()

    def _await_exit(self, server: subprocess.Popen[bytes]) -> None:
        server.wait()
        self._happened.put("exited")

    def _stop(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        for number, patience_s in ((signal.SIGINT, FAST_STOP_S), (signal.SIGQUIT, IMMEDIATE_STOP_S)):
            server.send_signal(number)
            try:
                server.wait(patience_s)
            except subprocess.TimeoutExpired:
                continue
            return
        server.kill()
        server.wait()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--holders", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--user")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    with given.log.open("ab") as log:
        return Keeper(given.command, user=given.user, log=log).run(given.holders)


if __name__ == "__main__":
    sys.exit(main())
