"""The real stack from a shell: one link, one at a time, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from media.models import ModelError, verify_all
from ops.cli.options import models_folder
from ops.devstack.temporal import free_port
from tests.stack import (
    COMMAND_WITHIN_S,
    ROOT,
    START_WITHIN_S,
    STOP_WITHIN_S,
    command,
    document,
    processes_of,
    restarted,
    stack,
    until,
    vivavoce,
)

# On a machine that does nothing else; for people to compare.
SECOND_START_S_AIM = 20
DEAD_PROXY = "http://127.0.0.1:9"
# Its argument is a command; before that, the loopback interface of a new network is switched on.
LOOPBACK_ALONE = """
import fcntl, os, socket, struct, sys
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP | IFF_RUNNING))
os.execv(sys.argv[1], sys.argv[1:])
"""


def offline() -> tuple[tuple[str, ...], str]:
    """A command that runs another without a network but this machine's own, and what it does. The embedded
    server needs a second user, which only root's own namespace has; for others proxies lead nowhere."""
    unshare = shutil.which("unshare")
    if unshare and os.geteuid() == 0 and subprocess.run([unshare, "-n", "true"], check=False).returncode == 0:
        return (unshare, "-n", sys.executable, "-c", LOOPBACK_ALONE), "without a network"
    dead = [f"{name}={DEAD_PROXY}" for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")]
    return ("env", *dead, "NO_PROXY=127.0.0.1,localhost"), "with proxies that lead nowhere"


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
            assert names == {"postgres", "temporal", "sequencer", "workflows", "media", "api"}

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

        # The second start needs nothing from anywhere else.
        inside, how = offline()
        began_s = time.monotonic()
        with stack(folder, port, inside=inside) as (process, again):
            took_s = time.monotonic() - began_s
            print(f"second start, {how}: {took_s:.1f} s (aim: {SECOND_START_S_AIM} s)")  # noqa: T201
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
