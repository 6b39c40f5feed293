"""The process as it is started: it waits for its database, leads, lets go when told to, and another leads."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.sequencer import LEASE, has_leader
from domain.ids import TenantId
from ops.bootstrap import Addresses
from tests.fakes.log_order import assert_whole_order
from tests.integration.store.sequencer.appends import append, until_placed

ROOT = Path(__file__).resolve().parents[4]
STARTED_WITHIN_S = 30.0
TAKEN_OVER_WITHIN_S = 5.0
# Less than a lease, which would otherwise have run out by itself.
STOPPED_WITHIN_S = LEASE.total_seconds() - 1
CONNECTED = text(
    "select count(distinct pid) from pg_stat_activity"
    " where application_name = 'vivavoce sequencer' and datname = current_database()"
)


def start(url: str, folder: Path) -> subprocess.Popen[bytes]:
    settings = {
        **{"DATABASE_URL": url, "TEMPORAL_ADDRESS": "127.0.0.1:1", "PAYLOAD_KEY": "none"},
        **{"CONTROL_SECRET": "none", "MODELS_DIR": str(folder), "RECORDINGS_DIR": str(folder)},
    }
    return subprocess.Popen(
        [sys.executable, "-m", "ops.cli.main", "process", "sequencer"],
        cwd=ROOT,
        env={**os.environ, **{f"VIVAVOCE_{name}": value for name, value in settings.items()}},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def two(addresses: Addresses, tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    processes = [start(addresses.sequencer_url, tmp_path) for _ in range(2)]
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


async def test_one_of_two_leads_and_the_other_takes_over_in_time(
    two: list[subprocess.Popen[bytes]],
    engine: AsyncEngine,
    sequencing: AsyncEngine,
    admin: AsyncEngine,
    tenant_id: TenantId,
) -> None:
    # Given two processes, of which one leads
    await append(engine, tenant_id, count=3)
    await until_placed(admin, 3, within_s=STARTED_WITHIN_S)
    leader, standby = await by_role(admin, two)
    assert standby.poll() is None

    # When that one is killed, then the other places events within five seconds
    leader.kill()
    await append(engine, tenant_id, count=2)
    await until_placed(admin, 5, within_s=TAKEN_OVER_WITHIN_S)

    # And one that is told to stop ends well, and lets go of its lease
    standby.send_signal(signal.SIGTERM)
    assert standby.wait(STOPPED_WITHIN_S) == 0
    assert not await has_leader(sequencing)
    assert await assert_whole_order(admin) == 5


async def by_role(
    admin: AsyncEngine, processes: list[subprocess.Popen[bytes]]
) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    """The leader and the standby, once both have come as far as the database."""
    async with asyncio.timeout(STARTED_WITHIN_S), admin.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        while (await connection.scalar(CONNECTED) or 0) < len(processes):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
        holder = str(await connection.scalar(text("select holder from public.sequencer")))
    one, other = processes
    return (one, other) if holder.endswith(f":{one.pid}") else (other, one)


def test_a_process_of_the_wrong_role_ends_with_a_sentence(addresses: Addresses, tmp_path: Path) -> None:
    process = start(addresses.app_url, tmp_path)

    _, said = process.communicate(timeout=STARTED_WITHIN_S)

    assert process.returncode == 2
    assert "vivavoce_sequencer" in said.decode()
    assert "Traceback" not in said.decode()
