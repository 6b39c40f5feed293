"""Whatever is killed, paused or restarted under it, the order has no gap, no duplicate and no reorder."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.engine import create_engine
from activities.store.sequencer import LEASE, Sequencer
from activities.store.subscription import Cursors, Log, subscribe
from domain.ids import TenantId
from ops.bootstrap import Addresses, prepare_database
from ops.devstack.postgres import EmbeddedPostgres
from tests.fakes.log_order import assert_order_so_far, assert_whole_order, order_of
from tests.integration.store.sequencer import breaking_process
from tests.integration.store.sequencer.appends import (
    IN_THE_WAY,
    append,
    appending,
    sequencing_meanwhile,
    until_placed,
    waiting_backends,
)

ROOT = Path(__file__).resolve().parents[4]
SHORT = timedelta(milliseconds=250)
BRIEFLY_S = 0.02


@asynccontextmanager
async def breaking(mode: str, addresses: Addresses, count: int) -> AsyncIterator[subprocess.Popen[bytes]]:
    """The process, which is gone with the body."""
    # It is waited for as only its own parent can, stopped as well as ended.
    process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-m", breaking_process.__name__, mode, addresses.sequencer_url, str(count)],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)


@pytest.mark.parametrize(
    ("seconds", "writers"), [(2, 3), pytest.param(60, 6, marks=[pytest.mark.soak, pytest.mark.timeout(300)])]
)
async def test_appenders_that_wait_before_they_commit_and_a_foreign_transaction_stall_no_reader(
    engine: AsyncEngine,
    sequencing: AsyncEngine,
    admin: AsyncEngine,
    tenant_id: TenantId,
    seconds: float,
    writers: int,
) -> None:
    # Given a foreign transaction that has written and is held open, and two sequencers
    read = 0
    async with admin.connect() as foreign:
        # Ours end by themselves when they idle; somebody else's need not.
        await foreign.execute(text("set idle_in_transaction_session_timeout = 0"))
        await foreign.execute(text("select pg_current_xact_id()"))
        one, other = (Sequencer(sequencing, holder=name) for name in ("one", "other"))
        async with sequencing_meanwhile(one), sequencing_meanwhile(other):
            # When several append for a while
            async with appending(engine, tenant_id, writers=writers) as appended:
                loop = asyncio.get_running_loop()
                end = loop.time() + seconds
                while loop.time() < end:
                    # Then what was committed can be read within a second, all the while
                    before = appended.events
                    await until_placed(admin, before, within_s=1.0)
            async with subscribe(Log(engine), Cursors(engine), "views") as views:
                async with asyncio.timeout(30):
                    async for page in views:
                        read += len(page)
                        if read >= appended.events:
                            break
        assert await foreign.scalar(text("select pg_current_xact_id_if_assigned()")) is not None
    assert read == appended.events == await assert_whole_order(admin) > 50


@pytest.mark.parametrize(
    "boundaries", [16, pytest.param(150, marks=[pytest.mark.soak, pytest.mark.timeout(600)])]
)
async def test_a_sequencer_killed_at_every_statement_boundary(
    engine: AsyncEngine,
    addresses: Addresses,
    sequencing: AsyncEngine,
    admin: AsyncEngine,
    tenant_id: TenantId,
    boundaries: int,
) -> None:
    # Given sequencers each of which is killed one statement boundary later than the last, while events come
    async with appending(engine, tenant_id), breaking("kill", addresses, boundaries) as killed:
        while killed.poll() is None:
            await assert_order_so_far(admin)
            await asyncio.sleep(0.1)
    assert killed.returncode == 0
    # They got somewhere
    assert (await order_of(admin)).positions > 0

    # When one is left alone, then it goes on where they stood
    async with sequencing_meanwhile(Sequencer(sequencing, holder="left alone"), standby_interval_s=BRIEFLY_S):
        await until_placed(admin)
    await assert_whole_order(admin)


@pytest.mark.skipif(sys.platform != "linux", reason="waits for a stopped process as Linux tells of it")
@pytest.mark.parametrize("pauses", [14, pytest.param(90, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
async def test_a_leader_paused_past_its_lease_at_every_await_and_woken(
    engine: AsyncEngine,
    addresses: Addresses,
    sequencing: AsyncEngine,
    admin: AsyncEngine,
    tenant_id: TenantId,
    pauses: int,
) -> None:
    # Given a process that stops itself at one await after the other
    async with appending(engine, tenant_id, writers=2), breaking("pause", addresses, 0) as paused:
        for number in range(pauses):
            _, status = await asyncio.wait_for(asyncio.to_thread(os.waitpid, paused.pid, os.WUNTRACED), 30)
            assert os.WIFSTOPPED(status)
            # When another leads meanwhile, because the lease ran out
            awake = Sequencer(sequencing, holder="awake", lease=SHORT)
            async with sequencing_meanwhile(awake, standby_interval_s=BRIEFLY_S):
                before = (await order_of(admin)).positions
                await until_placed(admin, before + 5)
                # And the one that slept wakes up and goes on with what it had begun
                paused.send_signal(signal.SIGCONT)
                await until_placed(admin, (await order_of(admin)).positions + 3 + number % 5)
        # Then nothing of it spoils the order
        await assert_order_so_far(admin)
    async with sequencing_meanwhile(Sequencer(sequencing, holder="last"), standby_interval_s=BRIEFLY_S):
        await until_placed(admin)
    await assert_whole_order(admin)


# --- the server ---------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """One that these tests may stop."""
    with (
        tempfile.TemporaryDirectory(prefix="vivavoce-test-") as folder,
        EmbeddedPostgres(Path(folder)) as server,
    ):
        yield server


@pytest.fixture
async def on_server(server: EmbeddedPostgres) -> AsyncIterator[dict[str, AsyncEngine]]:
    """Engines by what they are for, to a database of the test's own on that server."""
    made = await prepare_database(server.superuser_url, database=f"vivavoce_{uuid4().hex[:12]}")
    engines = {
        name: create_engine(url, application_name=name)
        for name, url in (("app", made.app_url), ("sequencer", made.sequencer_url), ("admin", made.admin_url))
    }
    yield engines
    for engine in engines.values():
        await engine.dispose()


def stop_and_start(server: EmbeddedPostgres, backend: int) -> None:
    server.interrupt()
    server.resume()


def crash(server: EmbeddedPostgres, backend: int) -> None:
    """A backend that is killed makes the server throw all others out and recover from its log."""
    os.kill(backend, signal.SIGKILL)


@pytest.mark.parametrize("breaks", [stop_and_start, crash])
@pytest.mark.parametrize("times", [1, pytest.param(15, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
async def test_postgres_restarted_in_mid_batch(
    server: EmbeddedPostgres,
    on_server: dict[str, AsyncEngine],
    tenant_id: TenantId,
    breaks: Callable[[EmbeddedPostgres, int], None],
    times: int,
) -> None:
    admin, chance = on_server["admin"], random.Random(times)
    for _ in range(times):
        await append(on_server["app"], tenant_id, count=20)
        last = (await order_of(admin)).positions
        sequencer = Sequencer(on_server["sequencer"], holder="tests", lease=SHORT)
        # Given a batch of which some places are written, and that waits with the next one
        async with admin.connect() as connection:
            await connection.execute(
                IN_THE_WAY, {"position": last + chance.randint(2, 20), "tenant": tenant_id}
            )
            async with sequencing_meanwhile(sequencer, standby_interval_s=BRIEFLY_S):
                [backend] = await waiting_backends(admin, 1)

                # When the server is restarted
                await asyncio.to_thread(breaks, server, backend)
                await connection.invalidate()

                # Then the sequencer goes on by itself, from what was committed
                await until_placed_again(admin, last + 20)
        # Its connection is of the server as it was.
        await on_server["app"].dispose()
    assert await assert_whole_order(admin) == 20 * times


async def until_placed_again(admin: AsyncEngine, count: int) -> None:
    """The first looks may meet connections that the restart has broken, and a server that recovers."""
    async with asyncio.timeout(LEASE.total_seconds() + 20):
        while True:
            try:
                await until_placed(admin, count)
            except (OSError, DBAPIError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)
            else:
                return
