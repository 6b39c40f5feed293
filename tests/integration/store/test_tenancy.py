"""One customer never sees another's rows: not through the pool, not after an error, not by asking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.engine import create_engine
from activities.store.event_store import PostgresEventStore
from activities.store.tenancy import tenant_transaction
from domain.errors import VersionConflict
from domain.ids import StreamId, TenantId
from ops.bootstrap import Addresses
from tests.fakes.events import new_stream, several

TENANT_TABLES = text(
    """
    select c.relname, c.relrowsecurity, c.relforcerowsecurity
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
     where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
    """
)


@pytest.fixture
async def pool_of_one(addresses: Addresses) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(addresses.app_url, application_name="one connection", connections_max=1)
    yield engine
    await engine.dispose()


async def test_every_table_of_tenants_has_row_level_security_forced(admin: AsyncEngine) -> None:
    async with admin.connect() as connection:
        tables = (await connection.execute(TENANT_TABLES)).all()

    assert {"events", "streams", "log_index", "api_keys", "personas", "chunks"} <= {
        table.relname for table in tables
    }
    assert [
        table.relname for table in tables if not (table.relrowsecurity and table.relforcerowsecurity)
    ] == []


async def test_every_table_but_the_installations_own_belongs_to_a_tenant(admin: AsyncEngine) -> None:
    async with admin.connect() as connection:
        of_tenants = {row.relname for row in await connection.execute(TENANT_TABLES)}
        every = set(
            await connection.scalars(text("select tablename from pg_tables where schemaname = 'public'"))
        )

    # Who orders the events of all, how far that has come, and how far those who read them have.
    of_the_installation = {"alembic_version", "sequencer", "log_scans", "subscriptions"}
    assert every - of_tenants == of_the_installation


async def test_a_pool_of_one_connection_never_shows_one_tenant_the_rows_of_another(
    pool_of_one: AsyncEngine,
) -> None:
    store = PostgresEventStore(pool_of_one)
    tenants = [TenantId(uuid4()), TenantId(uuid4())]
    streams = {tenant: new_stream() for tenant in tenants}
    for tenant in tenants:
        await store.append(tenant, streams[tenant], several(1), expected="no_stream", epoch=0)

    for trouble in (
        nothing,
        conflict,
        failing_statement,
        failing_body,
        cancelled_query,
        cancelled_append,
    ) * 3:
        for tenant, other in (tenants, tenants[::-1]):
            await trouble(pool_of_one, tenant, streams[tenant])
            await assert_nobody_is_remembered(pool_of_one)
            assert await visible(pool_of_one, other) == {other}
            assert await store.read(other, streams[tenant]) == []


async def nothing(engine: AsyncEngine, tenant: TenantId, stream: StreamId) -> None:
    await PostgresEventStore(engine).append(tenant, stream, several(1), expected="any", epoch=0)


async def conflict(engine: AsyncEngine, tenant: TenantId, stream: StreamId) -> None:
    with pytest.raises(VersionConflict):
        await PostgresEventStore(engine).append(tenant, stream, several(1), expected=9999, epoch=0)


async def failing_statement(engine: AsyncEngine, tenant: TenantId, stream: StreamId) -> None:
    with pytest.raises(DBAPIError):
        async with tenant_transaction(engine, tenant) as connection:
            await connection.execute(text("select 1 / 0"))


async def failing_body(engine: AsyncEngine, tenant: TenantId, stream: StreamId) -> None:
    async def fail() -> None:
        async with tenant_transaction(engine, tenant) as connection:
            await connection.execute(text("select 1"))
            raise LookupError

    with pytest.raises(LookupError):
        await fail()


async def cancelled_query(engine: AsyncEngine, tenant: TenantId, stream: StreamId) -> None:
    async def wait() -> None:
        async with tenant_transaction(engine, tenant) as connection:
            await connection.execute(text("select pg_sleep(30)"))

    await cancel_once_it_runs(wait)


async def cancelled_append(engine: AsyncEngine, tenant: TenantId, stream: StreamId) -> None:
    task = asyncio.create_task(nothing(engine, tenant, stream))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def cancel_once_it_runs(work: Callable[[], Awaitable[None]]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await work()


async def assert_nobody_is_remembered(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        assert not await connection.scalar(text("select current_setting('app.tenant', true)"))
        assert await connection.scalar(text("select count(*) from public.events")) == 0
        assert await connection.scalar(text("select count(*) from public.streams")) == 0


async def visible(engine: AsyncEngine, tenant: TenantId) -> set[TenantId]:
    async with tenant_transaction(engine, tenant) as connection:
        return set(await connection.scalars(text("select tenant_id from public.events")))


async def test_a_row_cannot_be_written_for_another_tenant(engine: AsyncEngine) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        async with tenant_transaction(engine, TenantId(uuid4())) as connection:
            await connection.execute(
                text(
                    "insert into public.streams (tenant_id, stream_id, version, epoch) values (:t, 's', 1, 0)"
                ),
                {"t": uuid4()},
            )


@pytest.mark.parametrize(
    "statement",
    [
        "update public.events set payload = ''",
        "delete from public.events",
        "truncate public.events",
        "delete from public.streams",
        "update public.streams set stream_id = 'x'",
        "update public.persona_revisions set document = '{}'",
        "delete from public.persona_revisions",
        "delete from public.documents",
        "update public.chunks set text = ''",
        "update public.api_keys set revoked_at = null",
        "insert into public.tenants (tenant_id, name) values (gen_random_uuid(), 'x')",
        "update public.alembic_version set version_num = '0'",
        "alter table public.events disable row level security",
        "create table public.mine (i integer)",
        "create function public.mine() returns integer language sql as 'select 1'",
        "set role vivavoce_owner",
        "set role vivavoce_gate",
    ],
)
async def test_the_application_role_cannot_rewrite_the_record_or_step_out_of_its_role(
    engine: AsyncEngine, statement: str
) -> None:
    with pytest.raises(DBAPIError) as refused:
        async with tenant_transaction(engine, TenantId(uuid4())) as connection:
            await connection.execute(text(statement))

    assert getattr(refused.value.orig, "sqlstate", None) == "42501"  # insufficient_privilege


async def test_the_gate_reads_named_columns_and_changes_nothing(admin: AsyncEngine) -> None:
    for statement in (
        "select payload from public.events",
        "select version from public.streams",
        "select entry_hash from public.log_index",
        "delete from public.api_keys",
        "update public.join_tokens set used_at = null",
    ):
        async with admin.connect() as connection:
            await connection.execute(text("set local role vivavoce_gate"))
            with pytest.raises(DBAPIError, match="permission denied"):
                await connection.execute(text(statement))


async def test_rows_carry_the_transaction_that_wrote_them(
    admin: AsyncEngine, event_store: PostgresEventStore, tenant_id: TenantId
) -> None:
    stream = new_stream()
    await event_store.append(tenant_id, stream, several(2), expected="any", epoch=0)
    await event_store.append(tenant_id, stream, several(1), expected="any", epoch=0)

    async with admin.connect() as connection:
        written = list(
            await connection.scalars(
                text("select xid::text::bigint from public.events where stream_id = :s order by version"),
                {"s": stream},
            )
        )

    assert written[0] == written[1] < written[2]
