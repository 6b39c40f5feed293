"""Postgres away: every call says so in time, and works again by itself when the server is back."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.access import Access
from activities.store.engine import COMMAND_TIMEOUT_S, LOCK_TIMEOUT_MS, POOL_WAIT_S, create_engine
from activities.store.event_store import PostgresEventStore
from activities.store.roles import check_role
from activities.store.tenancy import tenant_transaction
from domain.errors import StoreUnavailable
from domain.events.envelope import NewEvent
from domain.events.payload import Payload
from domain.ids import TenantId
from ops.bootstrap import Addresses, prepare_database
from ops.devstack.postgres import EmbeddedPostgres
from tests.fakes.events import new_stream, several


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """One that these tests may stop."""
    with (
        tempfile.TemporaryDirectory(prefix="vivavoce-test-") as folder,
        EmbeddedPostgres(Path(folder)) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def prepared(server: EmbeddedPostgres) -> Addresses:
    return asyncio.run(prepare_database(server.superuser_url))


@pytest.fixture
async def pool(prepared: Addresses) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(prepared.app_url, application_name="tests", connections_max=2)
    yield engine
    await engine.dispose()


async def test_the_store_is_unavailable_while_postgres_is_and_the_same_batch_goes_in_after_it(
    server: EmbeddedPostgres, pool: AsyncEngine
) -> None:
    store, tenant, stream, batch = PostgresEventStore(pool), TenantId(uuid4()), new_stream(), several(2)
    await store.append(tenant, stream, several(1), expected="no_stream", epoch=0)

    await asyncio.to_thread(server.interrupt)
    for _ in range(4):  # The pool's old connections first, then new ones that cannot be made.
        with pytest.raises(StoreUnavailable):
            await store.append(tenant, stream, batch, expected=1, epoch=0)
    for call in (
        store.read(tenant, stream),
        store.head(tenant, stream),
        Access(pool).authenticate("vv_x"),
        check_role(pool),
    ):
        with pytest.raises(StoreUnavailable):
            await call
    await asyncio.to_thread(server.resume)

    appended = await store.append(tenant, stream, batch, expected=1, epoch=0)
    assert (appended.first_version, appended.last_version) == (2, 3)


async def test_an_append_whose_answer_was_lost_is_stored_once(
    server: EmbeddedPostgres, pool: AsyncEngine
) -> None:
    store, tenant, stream = PostgresEventStore(pool), TenantId(uuid4()), new_stream()
    batches = [several(3) for _ in range(20)]

    async def insist(batch: list[NewEvent[Payload]]) -> None:
        while True:
            try:
                await store.append(tenant, stream, batch, expected="any", epoch=0)
            except StoreUnavailable:
                await asyncio.sleep(0.01)
            else:
                return

    async with asyncio.TaskGroup() as tasks:
        for batch in batches:
            tasks.create_task(insist(batch))
        tasks.create_task(asyncio.to_thread(stop_and_start, server))

    read = await store.read(tenant, stream)
    assert [event.version for event in read] == list(range(1, 61))
    assert len({event.event_id for event in read}) == 60


def stop_and_start(server: EmbeddedPostgres) -> None:
    server.interrupt()
    server.resume()


async def test_an_append_behind_a_lock_gives_up_within_its_bound(pool: AsyncEngine) -> None:
    store, tenant, stream = PostgresEventStore(pool), TenantId(uuid4()), new_stream()
    await store.append(tenant, stream, several(1), expected="no_stream", epoch=0)

    async with tenant_transaction(pool, tenant) as holder:
        await holder.execute(
            text("select from public.streams where stream_id = :s for update"), {"s": stream}
        )
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await store.append(tenant, stream, several(1), expected="any", epoch=0)
        assert time.monotonic() - began < LOCK_TIMEOUT_MS / 1000 + 2

    assert (await store.append(tenant, stream, several(1), expected=1, epoch=0)).last_version == 2


@pytest.mark.slow
async def test_a_pool_that_is_used_up_makes_callers_wait_and_then_fail(prepared: Addresses) -> None:
    engine = create_engine(prepared.app_url, application_name="tests", connections_max=1)
    try:
        async with engine.connect():
            began = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await PostgresEventStore(engine).head(TenantId(uuid4()), new_stream())
            assert POOL_WAIT_S - 0.5 < time.monotonic() - began < POOL_WAIT_S + 2
    finally:
        await engine.dispose()


@pytest.mark.slow
async def test_a_server_that_hangs_is_given_up_within_a_bound_and_its_connection_with_it(
    prepared: Addresses,
) -> None:
    engine = create_engine(prepared.app_url, application_name="tests", connections_max=1)
    store, tenant, stream, batch = PostgresEventStore(engine), TenantId(uuid4()), new_stream(), several(1)
    await store.append(tenant, stream, several(1), expected="no_stream", epoch=0)
    async with engine.connect() as connection:
        backend = int(await connection.scalar(text("select pg_backend_pid()")) or 0)
    os.kill(backend, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await store.append(tenant, stream, batch, expected=1, epoch=0)
        assert time.monotonic() - began < COMMAND_TIMEOUT_S + 4

        # The pool's only connection is another one now.
        assert await store.head(tenant, stream) is not None
    finally:
        os.kill(backend, signal.SIGCONT)
        await engine.dispose()


async def test_a_fault_of_a_statement_is_no_outage(pool: AsyncEngine) -> None:
    with pytest.raises(Exception, match="syntax error") as raised:
        async with tenant_transaction(pool, TenantId(uuid4())) as connection:
            await connection.execute(text("selekt 1"))

    assert not isinstance(raised.value, StoreUnavailable)
