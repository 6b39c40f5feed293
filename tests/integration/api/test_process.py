"""The API as a process: what it checks before it answers, and how it stops."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import sys
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from activities.store.roles import RoleTooMighty
from ops.bootstrap import Addresses
from ops.devstack.temporal import TemporalServer
from ops.processes.api import ApiPortInUse, EmbeddingUnavailable, LateMiniLm, run
from ops.settings import Settings
from tests.temporal_fixtures import PAYLOAD_KEY, REPOSITORY, process_environment

READY_S_MAX = 60.0
STOPPED_S_MAX = 15.0


@pytest.fixture
def settings(addresses: Addresses, temporal_server: TemporalServer, tmp_path: Path) -> Settings:
    return Settings(
        database_url=SecretStr(addresses.app_url),
        temporal_address=temporal_server.address,
        payload_key=SecretStr(base64.b64encode(PAYLOAD_KEY).decode()),
        control_secret=SecretStr("a secret of the tests"),
        models_dir=tmp_path,
        recordings_dir=tmp_path,
        api_port=0,
    )


async def test_it_answers_when_it_is_ready_and_stops_on_a_signal(
    addresses: Addresses, temporal_server: TemporalServer, tmp_path: Path
) -> None:
    environment = process_environment(
        database_url=addresses.app_url,
        temporal_address=temporal_server.address,
        folder=tmp_path,
        api_port=0,
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.api.api_process",
        env=environment,
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(READY_S_MAX):
            port = await _port_of(process)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            ready = await client.get("/v1/health/ready")
            page = await client.get("/")
            # A connection that is kept open must not keep the process alive.
            process.terminate()
            async with asyncio.timeout(STOPPED_S_MAX):
                code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()

    assert ready.json() == {"status": "ready"}
    assert page.status_code == 200
    assert code == 0


async def _port_of(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        said = json.loads(line)
        if said["event"] == "api.ready":
            return int(said["port"])
    raise AssertionError("the process ended before it was ready")


async def test_it_refuses_a_role_that_sees_every_tenant(settings: Settings, addresses: Addresses) -> None:
    mighty = settings.model_copy(update={"database_url": SecretStr(addresses.admin_url)})

    with pytest.raises(RoleTooMighty):
        await run(mighty)


async def test_without_a_model_publishing_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingUnavailable, match="vivavoce models fetch"):
        LateMiniLm(tmp_path).embed(["a text"])


async def test_a_port_in_use_is_one_sentence_that_says_what_to_do(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ApiPortInUse, match=f"port {port} .*VIVAVOCE_API_PORT"):
            await run(settings.model_copy(update={"api_port": port}))
