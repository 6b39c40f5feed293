"""Every committed event gets one place in the order of all, whatever else goes on in the database."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.engine import create_engine
from activities.store.sequencer import BATCH_EVENTS_MAX, HOLDER_CHARS_MAX, LeaseToken, Sequencer
from domain.ids import TenantId
from ops.bootstrap import Addresses
from tests.fakes.events import new_stream, several
from tests.fakes.log_order import assert_order_so_far, assert_whole_order
from tests.integration.store.sequencer.appends import (
    IN_THE_WAY,
    append,
    append_on,
    held_append,
    place_all,
    waiting_backends,
)

LATEST_SCAN = text("select * from public.log_scans order by scan desc limit 1")


async def test_events_of_all_tenants_get_dense_positions_and_later_appends_later_ones(
    engine: AsyncEngine, sequencer: Sequencer, token: LeaseToken, admin: AsyncEngine
) -> None:
    # Given appends that were answered one after the other, to streams in no order of their names
    streams, tenants = [new_stream() for _ in range(5)], [TenantId(uuid4()) for _ in range(2)]
    versions = dict.fromkeys(streams, 0)
    expected = []
    for number in range(30):
        stream = streams[number * 3 % 5]
        await append(engine, tenants[number * 3 % 5 % 2], stream, count=2)
        versions[stream] += 2
        expected += [(stream, versions[stream] - 1), (stream, versions[stream])]

    # When they are sequenced
    placed = await place_all(sequencer, token)

    # Then they stand in the order of the appends
    assert [(each.stream_id, each.version) for each in placed] == expected
    assert [each.position for each in placed] == list(range(1, 61))
    assert {each.tenant_id for each in placed} == set(tenants)
    assert {each.entry_hash for each in placed} == {None}
    assert await assert_whole_order(admin) == 60


async def test_nothing_is_placed_twice_and_looking_for_events_writes_nothing(
    engine: AsyncEngine, sequencer: Sequencer, token: LeaseToken, admin: AsyncEngine, tenant_id: TenantId
) -> None:
    await append(engine, tenant_id, count=3)
    assert len(await place_all(sequencer, token)) == 3
    async with admin.connect() as connection:
        scanned = (await connection.execute(LATEST_SCAN)).one()
        lease = await connection.scalar(text("select (ctid, xmax)::text from public.sequencer"))

    for _ in range(5):
        assert await place_all(sequencer, token) == []

    async with admin.connect() as connection:
        assert (await connection.execute(LATEST_SCAN)).one() == scanned
        assert await connection.scalar(text("select (ctid, xmax)::text from public.sequencer")) == lease
    assert await assert_whole_order(admin) == 3


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_a_backlog_is_placed_in_bounded_steps(
    engine: AsyncEngine,
    sequencer: Sequencer,
    token: LeaseToken,
    admin: AsyncEngine,
    tenant_id: TenantId,
    limit: int,
) -> None:
    streams = [new_stream() for _ in range(3)]
    for number in range(20):
        await append(engine, tenant_id, streams[number % 3], count=1 + number % 4)

    more, steps = True, []
    while more:
        batch = await sequencer.sequence(token, limit=limit)
        more = batch.more
        steps.append(len(batch.placed))
        await assert_order_so_far(admin)

    assert max(steps) <= 2 * limit
    assert sum(steps) == await assert_whole_order(admin) == 50


async def test_a_transaction_larger_than_a_step_is_placed_in_several(
    engine: AsyncEngine, sequencer: Sequencer, token: LeaseToken, admin: AsyncEngine, tenant_id: TenantId
) -> None:
    await append(engine, tenant_id, count=40)
    await append(engine, tenant_id, count=3)

    first = await sequencer.sequence(token, limit=3)

    assert (len(first.placed), first.more) == (6, True)
    assert len(await place_all(sequencer, token, limit=3)) == 37
    assert await assert_whole_order(admin) == 43


async def test_a_step_is_bounded_and_a_holder_has_a_name(
    sequencer: Sequencer, token: LeaseToken, sequencing: AsyncEngine
) -> None:
    for limit in (0, BATCH_EVENTS_MAX + 1):
        with pytest.raises(ValueError, match=str(BATCH_EVENTS_MAX)):
            await sequencer.sequence(token, limit=limit)
    for holder in ("", "x" * (HOLDER_CHARS_MAX + 1)):
        with pytest.raises(ValueError, match=str(HOLDER_CHARS_MAX)):
            Sequencer(sequencing, holder=holder)


async def test_a_statement_that_is_asked_for_again_while_it_still_runs_comes_after_itself(
    engine: AsyncEngine, sequencer: Sequencer, token: LeaseToken, admin: AsyncEngine, tenant_id: TenantId
) -> None:
    # Given a batch that waits between two of its rows, and the same again, as after an answer that was lost
    await append(engine, tenant_id, count=5)
    async with admin.connect() as connection, asyncio.TaskGroup() as tasks:
        await connection.execute(IN_THE_WAY, {"position": 3, "tenant": tenant_id})
        twice = []
        for number in (1, 2):
            twice.append(tasks.create_task(sequencer.sequence(token)))
            await waiting_backends(admin, number)

        # When it can go on
        await connection.rollback()

    # Then the first has placed the events and the second found nothing left
    assert [len(task.result().placed) for task in twice] == [5, 0]
    assert await assert_whole_order(admin) == 5


# --- transactions of others ---------------------------------------------------------------------------
async def test_a_foreign_transaction_held_open_keeps_nothing_back(
    engine: AsyncEngine,
    sequencer: Sequencer,
    token: LeaseToken,
    admin: AsyncEngine,
    addresses: Addresses,
    tenant_id: TenantId,
) -> None:
    elsewhere = make_url(addresses.admin_url).set(database="postgres").render_as_string()
    other_database = create_engine(elsewhere, application_name="somebody else")
    await append(engine, tenant_id)
    await place_all(sequencer, token)
    async with admin.connect() as here, other_database.connect() as there:
        # Given transactions that have written something and stay open
        own = {str(await each.scalar(text("select pg_current_xact_id()"))) for each in (here, there)}

        # When events are appended after them, then their places do not wait
        for count in (1, 2, 3):
            await append(engine, tenant_id, count=count)
            assert len(await place_all(sequencer, token)) == count

        # And what was looked through once is not looked through again: only those two are waited for
        async with admin.connect() as connection:
            scanned = (await connection.execute(LATEST_SCAN)).one()
            newest = await connection.scalar(text("select max(xid) from public.events"))
        assert int(scanned.scanned_below) > int(newest)
        assert {str(xid) for xid in scanned.unfinished} == own
    await other_database.dispose()
    assert await assert_whole_order(admin) == 7


async def test_an_append_is_placed_when_it_commits_at_last_and_not_when_it_rolls_back(
    engine: AsyncEngine, sequencer: Sequencer, token: LeaseToken, admin: AsyncEngine, tenant_id: TenantId
) -> None:
    async with AsyncExitStack() as holding:
        # Given two appends between insert and commit, and one that is committed after them
        late, lost = [
            await holding.enter_async_context(
                held_append(engine, tenant_id, several(count), stream=new_stream())
            )
            for count in (2, 5)
        ]
        await append(engine, tenant_id)
        assert len(await place_all(sequencer, token)) == 1

        # When one commits and one rolls back
        await late.commit()
        await lost.rollback()

        # Then the one is placed, and with the next event both transactions are forgotten
        assert len(await place_all(sequencer, token)) == 2
        await append(engine, tenant_id)
        assert len(await place_all(sequencer, token)) == 1
    async with admin.connect() as connection:
        assert (await connection.execute(LATEST_SCAN)).one().unfinished == []
    assert await assert_whole_order(admin) == 4


async def test_versions_keep_their_order_though_an_earlier_transaction_wrote_the_later_ones(
    engine: AsyncEngine, sequencer: Sequencer, token: LeaseToken, admin: AsyncEngine, tenant_id: TenantId
) -> None:
    # Given a transaction that began, and got its number, before another one appended to the same stream
    stream = new_stream()
    async with engine.connect() as early:
        await early.execute(text("select pg_current_xact_id()"))
        await append(engine, tenant_id, stream, count=3)
        await append_on(early, tenant_id, stream, several(2))
        await early.commit()

    # When they are placed one transaction at a time
    placed = await place_all(sequencer, token, limit=1)

    # Then by version
    assert [each.version for each in placed] == [1, 2, 3, 4, 5]
    assert await assert_whole_order(admin) == 5


@pytest.mark.parametrize("limit", [1, 3, BATCH_EVENTS_MAX])
async def test_a_copy_of_the_database_in_another_cluster_goes_on_where_it_stood(
    engine: AsyncEngine,
    sequencer: Sequencer,
    token: LeaseToken,
    admin: AsyncEngine,
    tenant_id: TenantId,
    limit: int,
) -> None:
    # Given events with and without places, of transactions whose numbers this cluster has not come to
    stream = new_stream()
    for placed in (True, False):
        await append(engine, tenant_id, stream, count=2)
        await append(engine, tenant_id, count=3)
        if placed:
            await place_all(sequencer, token)
    async with admin.begin() as connection:
        await connection.execute(FROM_ELSEWHERE_EVENTS)
        await connection.execute(FROM_ELSEWHERE_SCANS)

    # When sequencing goes on, with new events of this cluster's own low numbers before, between and behind
    await append(engine, tenant_id, stream, count=4)
    await sequencer.sequence(token, limit=limit)
    await append(engine, tenant_id, stream)
    await place_all(sequencer, token, limit=limit)
    await append(engine, tenant_id, stream)
    await place_all(sequencer, token, limit=limit)

    # Then nothing is left out, and what was looked through is told in this cluster's numbers again
    assert await assert_whole_order(admin) == 16
    async with admin.connect() as connection:
        scanned = (await connection.execute(LATEST_SCAN)).one()
        cluster = await connection.scalar(text("select system_identifier from pg_control_system()"))
    assert scanned.cluster == cluster
    assert int(scanned.scanned_below) < ELSEWHERE


ELSEWHERE = 1_000_000_000
FROM_ELSEWHERE_EVENTS = text(f"update public.events set xid = (xid::text::bigint + {ELSEWHERE})::text::xid8")
FROM_ELSEWHERE_SCANS = text(
    "update public.log_scans set cluster = 1,"
    f" scanned_below = (scanned_below::text::bigint + {ELSEWHERE})::text::xid8"
)
