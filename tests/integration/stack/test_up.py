"""The real stack from a shell: one link, one at a time, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from media.models import ModelError, verify_all
from ops.cli.options import models_folder
from ops.devstack.temporal import free_port
from ops.stack.child import birth

ROOT = Path(__file__).resolve().parents[3]
# A cold start beside other work; the figure for a machine at rest is in the README.
START_WITHIN_S = 240.0
STOP_WITHIN_S = 120.0
COMMAND_WITHIN_S = 120.0


def vivavoce(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ops.cli.main", *arguments]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        vivavoce(*arguments), cwd=ROOT, capture_output=True, text=True, check=False, timeout=COMMAND_WITHIN_S
    )


def document(*arguments: str) -> dict[str, Any]:
    done = command(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def until(condition: Callable[[], bool], *, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def processes_of(folder: Path) -> dict[int, str]:
    """Every process on this machine that was started for the folder, by what it was started with."""
    found: dict[int, str] = {}
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            line = (proc / "cmdline").read_bytes() + b" " + (proc / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in line and birth(int(proc.name)) is not None:
            found[int(proc.name)] = line.replace(b"\0", b" ").decode(errors="replace")[:200]
    found.pop(os.getpid(), None)
    return found


@contextmanager
def stack(folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`vivavoce up`, and the link that it prints."""
    process = subprocess.Popen(
        vivavoce("up", "--data", str(folder), "--port", str(port)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        link = ""
        for line in process.stdout:
            if found := re.search(r"http://\S+#key=\S+", line):
                link = found.group()
                break
        yield process, link
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(STOP_WITHIN_S)
        process.stdout.close()


@pytest.fixture
def models() -> None:
    try:
        verify_all(models_folder(None))
    except ModelError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.usefixtures("models")
def test_the_stack_starts_comes_back_and_leaves_nothing(tmp_path: Path) -> None:
    folder, port = tmp_path / "data", free_port()
    data = ("--data", str(folder))
    try:
        with stack(folder, port) as (process, link):
            assert link.startswith(f"http://127.0.0.1:{port}/#key=vv_")
            assert httpx.get(f"http://127.0.0.1:{port}/v1/health/ready").status_code == 200

            status = document("status", *data)
            assert status["ready"] is True
            names = {each["name"] for each in status["processes"]}
            assert names == {"postgres", "temporal", "workflows", "media", "api"}

            second = command("up", *data, "--port", str(port))
            assert second.returncode == 2
            assert "is running in" in second.stderr

            [persona] = document("persona", "list", *data)["personas"]
            assert persona["name"] == "Nora"
            assert document("conversation", "list", *data)["conversations"] == []

            [api] = [each for each in status["processes"] if each["name"] == "api"]
            os.kill(api["pid"], signal.SIGKILL)
            until(lambda: restarted(document("status", *data), "api"), within_s=START_WITHIN_S)

            process.send_signal(signal.SIGINT)
            assert process.wait(STOP_WITHIN_S) == 0
            assert processes_of(folder) == {}

        # What was stored stands there without the stack, and two at once share the server.
        asking = [
            subprocess.Popen(
                vivavoce(kind, "list", *data, "--json"), cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
            for kind in ("persona", "conversation")
        ]
        answers = [json.loads(each.communicate(timeout=COMMAND_WITHIN_S)[0]) for each in asking]
        assert answers[0]["personas"] == [persona]
        assert answers[1]["conversations"] == []
        until(lambda: processes_of(folder) == {}, within_s=STOP_WITHIN_S)

        with stack(folder, port) as (process, again):
            assert again == link
            assert command("down", *data).returncode == 0
            assert process.wait(STOP_WITHIN_S) == 0
            assert processes_of(folder) == {}

        with stack(folder, port) as (process, _):
            process.kill()
            process.wait(STOP_WITHIN_S)
            until(lambda: processes_of(folder) == {}, within_s=STOP_WITHIN_S)
    finally:
        for pid in processes_of(folder):
            os.kill(pid, signal.SIGKILL)


def restarted(status: dict[str, Any], name: str) -> bool:
    [found] = [each for each in status["processes"] if each["name"] == name]
    return bool(found["restarts"] >= 1 and found["alive"])
