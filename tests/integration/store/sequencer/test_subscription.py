"""A reader by position misses nothing, remembers its place and never holds more than it may."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.sequencer import LeaseToken, Sequencer
from activities.store.subscription import (
    NAME_CHARS_MAX,
    PAGE_EVENTS_MAX,
    PAGES_AHEAD_MAX,
    Cursors,
    InvalidSubscription,
    Log,
    LogBroken,
    PositionOutOfRange,
    Sequenced,
    Subscription,
    commit_cursor,
    subscribe,
)
from domain.ids import Position, TenantId
from tests.fakes.events import new_stream
from tests.integration.store.sequencer.appends import append, place_all

NOTHING = Position(0)


@pytest.fixture
def source(engine: AsyncEngine) -> Log:
    return Log(engine)


@pytest.fixture
def cursors(engine: AsyncEngine) -> Cursors:
    return Cursors(engine)


@pytest.fixture
async def twelve(
    engine: AsyncEngine, sequencer: Sequencer, token: LeaseToken, tenant_id: TenantId
) -> list[TenantId]:
    """Twelve events in the log, by turns of two tenants; whose they are, in order."""
    tenants = [tenant_id, TenantId(uuid4())]
    streams = [new_stream(), new_stream()]
    for number in range(12):
        await append(engine, tenants[number % 2], streams[number % 2])
    await place_all(sequencer, token)
    return [tenants[number % 2] for number in range(12)]


async def take(subscription: Subscription, count: int) -> list[Sequenced]:
    taken: list[Sequenced] = []
    async with asyncio.timeout(5):
        async for page in subscription:
            taken += page
            if len(taken) >= count:
                break
    return taken


# --- reading ------------------------------------------------------------------------------------------
async def test_events_of_all_tenants_are_read_in_the_order_of_positions(
    source: Log, twelve: list[TenantId]
) -> None:
    first = await source.read(NOTHING, limit=5)
    rest = await source.read(Position(5))

    assert [each.position for each in [*first, *rest]] == list(range(1, 13))
    assert [each.event.tenant_id for each in [*first, *rest]] == twelve
    assert [each.event.version for each in [*first, *rest]] == [number // 2 + 1 for number in range(12)]
    assert await source.read(Position(12)) == []
    assert await source.size() == 12


async def test_reading_for_all_remembers_no_tenant(
    source: Log, engine: AsyncEngine, twelve: list[TenantId]
) -> None:
    for _ in range(10):
        await source.read(NOTHING)
        async with engine.connect() as connection:
            assert await connection.scalar(text("select count(*) from public.log_index")) == 0


async def test_a_tenant_reads_its_own_events_only(
    source: Log, twelve: list[TenantId], tenant_id: TenantId
) -> None:
    first = await source.read_of_tenant(tenant_id, NOTHING, limit=4)
    rest = await source.read_of_tenant(tenant_id, first[-1].position)

    assert [each.position for each in [*first, *rest]] == [1, 3, 5, 7, 9, 11]
    assert {each.event.tenant_id for each in [*first, *rest]} == {tenant_id}
    assert await source.read_of_tenant(TenantId(uuid4()), NOTHING) == []


async def test_a_page_is_bounded(source: Log, tenant_id: TenantId) -> None:
    for after, limit in ((0, 0), (0, PAGE_EVENTS_MAX + 1), (-1, 1)):
        with pytest.raises(PositionOutOfRange, match=str(PAGE_EVENTS_MAX)):
            await source.read(Position(after), limit=limit)
        with pytest.raises(PositionOutOfRange, match=str(PAGE_EVENTS_MAX)):
            await source.read_of_tenant(tenant_id, Position(after), limit=limit)


@pytest.mark.parametrize("table", ["events", "log_index"])
@pytest.mark.parametrize("gone", [1, 6])
async def test_what_was_taken_out_of_the_record_is_not_passed_over(
    source: Log, cursors: Cursors, admin: AsyncEngine, twelve: list[TenantId], table: str, gone: int
) -> None:
    place = "(select tenant_id, stream_id, version from public.log_index where position = :gone)"
    async with admin.begin() as connection:
        await connection.execute(
            text(f"delete from public.{table} where (tenant_id, stream_id, version) in {place}"),
            {"gone": gone},
        )

    with pytest.raises(LogBroken) as broken:
        await source.read(NOTHING)
    assert broken.value.position == gone
    # A subscription is told at each attempt, after what stands before it.
    async with subscribe(source, cursors, "reader", page_events_max=1) as subscription:
        if gone > 1:
            assert len(await take(subscription, gone - 1)) == gone - 1
        for _ in range(2):
            with pytest.raises(LogBroken, match=f"position {gone} "):
                await anext(subscription)


# --- places -------------------------------------------------------------------------------------------
async def test_each_named_subscription_goes_on_where_it_has_committed(
    source: Log, cursors: Cursors, twelve: list[TenantId]
) -> None:
    async with subscribe(source, cursors, "views", page_events_max=4) as views:
        await take(views, 8)
        await views.commit(Position(7))
    async with subscribe(source, cursors, "relay") as relay:
        await take(relay, 12)
        await relay.commit()

    async with subscribe(source, cursors, "views") as views:
        assert [each.position for each in await take(views, 5)] == [8, 9, 10, 11, 12]
    assert [await cursors.position(name) for name in ("views", "relay", "new")] == [7, 12, 0]


async def test_a_commit_that_is_repeated_or_late_moves_nothing_back(cursors: Cursors) -> None:
    for position in (3, 3, 2, 5, 1):
        await cursors.commit("views", Position(position))
    assert await cursors.position("views") == 5

    await cursors.rewind("views")
    assert await cursors.position("views") == 0


async def test_a_place_is_kept_together_with_what_was_made_of_the_events_or_not_at_all(
    engine: AsyncEngine, cursors: Cursors
) -> None:
    async with engine.connect() as connection:
        await commit_cursor(connection, "views", Position(4))
        await connection.rollback()
    assert await cursors.position("views") == 0

    async with engine.begin() as connection:
        await commit_cursor(connection, "views", Position(4))
    assert await cursors.position("views") == 4


async def test_what_was_not_delivered_cannot_be_committed(
    source: Log, cursors: Cursors, twelve: list[TenantId]
) -> None:
    async with subscribe(source, cursors, "views", page_events_max=2) as views:
        await take(views, 2)
        with pytest.raises(PositionOutOfRange, match="up to position 2 and cannot commit 3"):
            await views.commit(Position(3))


async def test_a_place_beyond_the_end_of_the_log_is_told(source: Log, cursors: Cursors) -> None:
    await cursors.commit("views", Position(9))

    with pytest.raises(PositionOutOfRange, match="position 9, and the log ends at 0"):
        async with subscribe(source, cursors, "views"):
            pass


@pytest.mark.parametrize("name", ["", "x" * (NAME_CHARS_MAX + 1), "a\0b"], ids=["empty", "long", "zero"])
async def test_a_name_that_cannot_be_kept_is_refused(cursors: Cursors, name: str) -> None:
    for call in (cursors.position(name), cursors.commit(name, NOTHING), cursors.rewind(name)):
        with pytest.raises(InvalidSubscription, match=str(NAME_CHARS_MAX)):
            await call


async def test_events_that_come_later_are_delivered(
    source: Log,
    cursors: Cursors,
    engine: AsyncEngine,
    sequencer: Sequencer,
    token: LeaseToken,
    tenant_id: TenantId,
) -> None:
    async with subscribe(source, cursors, "views") as views:
        for expected in (1, 2, 3):
            await append(engine, tenant_id)
            await place_all(sequencer, token)
            assert [each.position for each in await take(views, 1)] == [expected]


async def test_reading_ahead_is_bounded_by_a_slow_reader(
    engine: AsyncEngine, cursors: Cursors, twelve: list[TenantId]
) -> None:
    # Given a log that counts what is read of it
    class Counting(Log):
        pages = 0
        full = asyncio.Event()

        async def read(self, after: Position, *, limit: int = PAGE_EVENTS_MAX) -> list[Sequenced]:
            page = await super().read(after, limit=limit)
            self.pages += 1
            if self.pages == PAGES_AHEAD_MAX + 1:
                self.full.set()
            return page

    source = Counting(engine)
    async with subscribe(source, cursors, "slow", page_events_max=1) as slow:
        # When nothing is taken from it, then it reads the pages ahead and the one that it cannot put down
        async with asyncio.timeout(5):
            await source.full.wait()
        await source.size()
        assert source.pages == PAGES_AHEAD_MAX + 1

        # And goes on as they are taken
        assert [each.position for each in await take(slow, 12)] == list(range(1, 13))
