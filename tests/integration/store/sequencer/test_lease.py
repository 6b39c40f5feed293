"""One leads at a time, whoever else believes to; and the sequencer's role can do what it must and no more."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.roles import check_role
from activities.store.sequencer import (
    LEASE,
    RENEW_INTERVAL_S,
    SCANS_KEPT,
    STANDBY_INTERVAL_S,
    LeaseLost,
    LeaseToken,
    NotASequencer,
    Sequencer,
    has_leader,
)
from domain.ids import TenantId
from tests.fakes.log_order import assert_whole_order
from tests.integration.store.sequencer.appends import append, place_all, sequencing_meanwhile, until_placed

WITHIN_S = 5.0


async def test_a_lease_is_held_by_one_and_its_token_rises(sequencing: AsyncEngine) -> None:
    first, second = (Sequencer(sequencing, holder=name) for name in ("first", "second"))
    assert not await has_leader(sequencing)

    token = await first.acquire()

    assert token is not None
    assert await has_leader(sequencing)
    assert await second.acquire() is None
    await first.renew(token)
    await first.release(token)
    later = await second.acquire()
    assert later is not None
    assert later > token


async def test_of_several_that_ask_at_once_one_leads(sequencing: AsyncEngine) -> None:
    tokens = await asyncio.gather(
        *(Sequencer(sequencing, holder=f"number {number}").acquire() for number in range(6))
    )

    assert sum(token is not None for token in tokens) == 1


async def test_a_lease_that_ran_out_or_was_taken_places_nothing(
    sequencing: AsyncEngine, engine: AsyncEngine, admin: AsyncEngine, tenant_id: TenantId
) -> None:
    # Given a leader that slept past its lease
    asleep = Sequencer(sequencing, holder="asleep", lease=timedelta(0))
    token = await asleep.acquire()
    assert token is not None
    await append(engine, tenant_id, count=2)

    # Then nothing it asks for is done, before another leads and after
    for _ in range(2):
        for late in (asleep.sequence(token), asleep.renew(token), asleep.purge(token)):
            with pytest.raises(LeaseLost):
                await late
        await asleep.release(token)
        other = Sequencer(sequencing, holder="awake")
        taken = await other.acquire()
        if taken is not None:
            awake = taken
    await other.renew(awake)
    assert len(await place_all(other, awake)) == 2
    assert await assert_whole_order(admin) == 2


async def test_a_standby_takes_over_when_the_lease_of_a_vanished_leader_runs_out(
    sequencing: AsyncEngine, engine: AsyncEngine, admin: AsyncEngine, tenant_id: TenantId
) -> None:
    assert LEASE.total_seconds() + STANDBY_INTERVAL_S + 1 < WITHIN_S
    assert LEASE.total_seconds() > RENEW_INTERVAL_S * 2
    assert await Sequencer(sequencing, holder="vanishes at once").acquire() is not None
    await append(engine, tenant_id, count=3)

    async with sequencing_meanwhile(Sequencer(sequencing, holder="stands by")):
        await until_placed(admin, 3, within_s=WITHIN_S)


async def test_two_at_once_place_everything_once_and_the_other_goes_on_when_one_stops(
    sequencing: AsyncEngine, engine: AsyncEngine, admin: AsyncEngine, tenant_id: TenantId
) -> None:
    async with sequencing_meanwhile(Sequencer(sequencing, holder="one")) as stop:
        await append(engine, tenant_id, count=5)
        await until_placed(admin, 5)
        async with sequencing_meanwhile(Sequencer(sequencing, holder="another")):
            for _ in range(10):
                await append(engine, tenant_id, count=2)
            await until_placed(admin, 25)

            stop.set()
            await append(engine, tenant_id, count=4)

            # Told to stop, it let go of its lease: there is no waiting for the end of it.
            await until_placed(admin, 29, within_s=LEASE.total_seconds() - 1)
    assert await assert_whole_order(admin) == 29


async def test_what_was_noted_of_earlier_looks_is_cleared_away(
    engine: AsyncEngine, sequencer: Sequencer, token: LeaseToken, admin: AsyncEngine, tenant_id: TenantId
) -> None:
    for _ in range(SCANS_KEPT + 5):
        await append(engine, tenant_id)
        await place_all(sequencer, token)

    await sequencer.purge(token)

    async with admin.connect() as connection:
        assert await connection.scalar(text("select count(*) from public.log_scans")) == SCANS_KEPT
    await append(engine, tenant_id)
    assert len(await place_all(sequencer, token)) == 1


# --- the role -----------------------------------------------------------------------------------------
async def test_the_sequencers_role_is_bound_by_row_level_security(sequencing: AsyncEngine) -> None:
    await check_role(sequencing)


async def test_another_role_is_told_to_be_another(engine: AsyncEngine) -> None:
    with pytest.raises(NotASequencer, match="vivavoce_sequencer"):
        await Sequencer(engine, holder="tests").acquire()


@pytest.mark.parametrize(
    "statement",
    [
        "select payload from public.events",
        "insert into public.events select * from public.events",
        "update public.events set version = 1",
        "delete from public.events",
        "select * from public.streams",
        "select * from public.api_keys",
        "select * from public.documents",
        "update public.log_index set position = 1",
        "delete from public.log_index",
        "truncate public.log_index",
        "delete from public.sequencer",
        "update public.log_scans set scanned_below = '0'",
        "set role vivavoce_owner",
        "set role vivavoce_app",
        "create table public.mine (i integer)",
    ],
)
async def test_the_sequencers_role_reads_headers_adds_positions_and_nothing_else(
    sequencing: AsyncEngine, statement: str
) -> None:
    with pytest.raises(DBAPIError) as refused:
        async with sequencing.begin() as connection:
            await connection.execute(text(statement))

    assert getattr(refused.value.orig, "sqlstate", None) == "42501"  # insufficient_privilege


@pytest.mark.parametrize(
    "statement",
    [
        "insert into public.log_index (position, tenant_id, stream_id, version)"
        " values (1, gen_random_uuid(), 's', 1)",
        "delete from public.log_index",
        "select * from public.sequencer",
        "select * from public.log_scans",
        "select * from public.sequence_events(1, 1)",
        "delete from public.subscriptions",
        "set role vivavoce_sequencer",
    ],
)
async def test_the_application_role_cannot_touch_the_order(engine: AsyncEngine, statement: str) -> None:
    with pytest.raises(DBAPIError) as refused:
        async with engine.begin() as connection:
            await connection.execute(text(statement))

    assert getattr(refused.value.orig, "sqlstate", None) == "42501"
