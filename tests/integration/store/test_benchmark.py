"""The figures of the append benchmark are of what was really written."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.benchmark import APPENDS_MAX, WRITERS_MAX, measure_appends
from activities.store.event_store import PostgresEventStore
from tests.fakes.event_store import InMemoryEventStore


@pytest.mark.parametrize("writers", [1, 3])
async def test_it_writes_what_it_says_and_orders_its_figures(
    event_store: PostgresEventStore, admin: AsyncEngine, writers: int
) -> None:
    count = text("select count(*) from public.events where stream_id like 'benchmark-%'")
    async with admin.connect() as connection:
        before = await connection.scalar(count)

    figures = await measure_appends(event_store, appends=31, writers=writers)

    async with admin.connect() as connection:
        written = await connection.scalar(count) - before
    assert written >= figures.events == 62
    assert 0 < figures.p50_ms <= figures.p95_ms <= figures.p99_ms <= figures.max_ms
    assert figures.appends_per_s >= 1000 / figures.max_ms


@pytest.mark.parametrize(("appends", "writers"), [(0, 1), (APPENDS_MAX + 1, 1), (1, 0), (1, WRITERS_MAX + 1)])
async def test_it_is_bounded(appends: int, writers: int) -> None:
    with pytest.raises(ValueError, match="can be measured"):
        await measure_appends(InMemoryEventStore(), appends=appends, writers=writers)
