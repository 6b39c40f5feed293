"""How long the end of a process may take, and how long a server may be away."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from ops.processes import api as api_process
from ops.processes import media_worker
from ops.processes.api import serve
from ops.processes.media_worker import _finished
from ops.stack import holder
from ops.stack.holder import GONE_S_MAX, LOOK_INTERVAL_S, hold
from tests.virtual_time import in_virtual_time, virtual_loop


@pytest.mark.parametrize(
    ("takes_s", "cut_off"),
    [(media_worker.SHUTDOWN_S_MAX - 0.1, False), (media_worker.SHUTDOWN_S_MAX + 60, True)],
)
def test_a_media_worker_s_last_requests_have_so_long(takes_s: float, cut_off: bool) -> None:
    @in_virtual_time
    async def ends() -> None:
        # Given a request that is under way when the process is told to end
        serving = asyncio.ensure_future(asyncio.sleep(takes_s))
        began_s = virtual_loop().time()

        # When its end is waited for, then it is cut off at the limit and not before
        await _finished(serving)
        await asyncio.wait({serving})
        assert serving.cancelled() is cut_off
        assert virtual_loop().time() - began_s <= media_worker.SHUTDOWN_S_MAX

    ends()


async def test_an_api_request_that_outlasts_the_shutdown_is_cut_off() -> None:
    # Given a request that never ends, and a second for the shutdown
    assert api_process.SHUTDOWN_S_MAX == 5
    app, began, stop = FastAPI(), asyncio.Event(), asyncio.Event()

    @app.get("/slow")
    async def slow() -> None:
        began.set()
        await asyncio.Event().wait()

    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/slow"
    async with asyncio.timeout(10), httpx.AsyncClient(timeout=None) as client, asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(serve(app, listener, stop, shutdown_s_max=1))
        asking = tasks.create_task(asked(client, url))
        await began.wait()

        # When the process is told to end, then it ends, and the one who asked is told
        stop.set()
        await serving
        assert await asking in {500, None}


async def asked(client: httpx.AsyncClient, url: str) -> int | None:
    """The status, or None where the connection was cut."""
    try:
        return (await client.get(url)).status_code
    except httpx.TransportError:
        return None


class Server:
    """Stands for the embedded Postgres: answers for so many looks, and then after a pause again."""

    def __init__(self, looks: list[bool]) -> None:
        self.looks, self.closed = looks, False

    def start(self) -> None: ...

    def close(self) -> None:
        self.closed = True


async def test_a_server_that_stays_away_is_let_go(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a server that is away for a moment, comes back, and then goes for good
    assert GONE_S_MAX > 5 * LOOK_INTERVAL_S
    server = Server([True, False, True])

    async def answers(_: object) -> bool:
        return server.looks.pop(0) if server.looks else False

    monkeypatch.setattr(holder, "EmbeddedPostgres", lambda _: server)
    monkeypatch.setattr(holder, "server_answers", answers)

    # When it is held, then the moment does no harm and the end is told
    async with asyncio.timeout(5):
        assert await hold(tmp_path, gone_s_max=0.1, look_s=0.03) == 1
    assert server.looks == []
    assert server.closed
    assert "went away" in capsys.readouterr().err
