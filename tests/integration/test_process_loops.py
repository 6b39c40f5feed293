"""Each process has its loop tell errors without what callbacks were given, before it does anything else."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr

from activities.store.engine import CONNECT_TIMEOUT_S
from domain.errors import StoreUnavailable
from ops.logs import configure_logs
from ops.processes import api, media_worker, sequencer, workflow_worker
from ops.settings import Settings

FAILED_S_MAX = CONNECT_TIMEOUT_S + 5


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "run",
    [api.run, workflow_worker.run, media_worker.run, sequencer.run],
    ids=["api", "workflows", "media", "sequencer"],
)
async def test_a_process_tells_what_nobody_caught_by_type(
    run: Callable[[Settings], Awaitable[None]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # Given a process that came as far as its store, which nobody serves
    configure_logs("info", as_json=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = Settings(
        database_url=SecretStr(f"postgresql://nobody:none@127.0.0.1:{port}/none"),
        temporal_address="127.0.0.1:1",
        payload_key=SecretStr("none"),
        control_secret=SecretStr("a secret of the tests"),
        models_dir=tmp_path,
        recordings_dir=tmp_path,
        api_port=0,
        start_wait_s=0,
    )
    async with asyncio.timeout(FAILED_S_MAX):
        with pytest.raises(StoreUnavailable):
            await run(settings)

    # When a callback in its loop fails
    told = asyncio.Event()

    def choke(heard: str) -> None:
        told.set()
        raise ValueError(heard)

    asyncio.get_running_loop().call_soon(choke, "Grace Hopper")
    await told.wait()

    # Then it is told by its type alone
    written = capsys.readouterr().out
    assert "loop.error" in written
    assert "ValueError" in written
    assert "Grace" not in written
