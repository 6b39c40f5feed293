"""The embedded Temporal server: ready when it says so, gone when stopped, and its errors in sentences."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from ops.devstack.temporal import TemporalDidNotStart, TemporalPortInUse, TemporalServer, temporal_is_ready
from ops.stack.child import birth
from tests.temporal_fixtures import REPOSITORY, eventually


async def test_a_started_server_can_be_used_and_a_stopped_one_has_left(tmp_path: Path) -> None:
    server = await TemporalServer.start(tmp_path)

    ready = await temporal_is_ready(server.address)
    await server.stop()
    await server.stop()

    assert ready
    assert birth(server.pid) is None
    assert not await temporal_is_ready(server.address)


async def test_a_port_in_use_is_told_in_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(TemporalPortInUse, match=f"port {port} is in use"):
            await TemporalServer.start(tmp_path, port=port)


async def test_a_server_that_ends_while_it_starts_says_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "temporal.db").mkdir()

    with pytest.raises(TemporalDidNotStart, match="ended while it started"):
        await TemporalServer.start(tmp_path)


async def test_a_holder_that_is_killed_takes_its_server_with_it(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, pathlib\n"
        "from ops.devstack.temporal import TemporalServer\n"
        "async def main():\n"
        "    server = await TemporalServer.start(pathlib.Path(sys.argv[1]))\n"
        "    print(server.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    holder = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert holder.stdout is not None
    pid = int(await asyncio.wait_for(holder.stdout.readline(), 60))
    assert birth(pid) is not None

    holder.send_signal(signal.SIGKILL)
    await holder.wait()

    await eventually(lambda: birth(pid) is None)
