"""The figures are of events that were written and placed."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store import sequencer_benchmark
from activities.store.sequencer import Sequencer
from activities.store.sequencer_benchmark import RATE_MAX, SECONDS_MAX, NoSequencer, measure_lag
from tests.fakes.log_order import assert_whole_order
from tests.integration.store.sequencer.appends import sequencing_meanwhile


async def test_it_measures_what_was_placed(
    engine: AsyncEngine, sequencing: AsyncEngine, admin: AsyncEngine
) -> None:
    async with sequencing_meanwhile(Sequencer(sequencing, holder="tests")):
        figures = await measure_lag(engine, rate_per_s=1000, seconds=0.5)

    # The first second's events were written, and not measured.
    assert await assert_whole_order(admin) > figures.events >= 400
    assert 0 < figures.p50_ms <= figures.p99_ms <= figures.max_ms


async def test_without_a_sequencer_it_says_so(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer_benchmark, "PLACED_WITHIN_S", 0.1)

    with pytest.RaisesGroup(pytest.RaisesExc(NoSequencer, match="start a sequencer")):
        await measure_lag(engine, rate_per_s=1000, seconds=0.1)


@pytest.mark.parametrize(("rate_per_s", "seconds"), [(0, 1), (RATE_MAX + 1, 1), (1, 0), (1, SECONDS_MAX + 1)])
async def test_it_is_bounded(engine: AsyncEngine, rate_per_s: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="can be measured"):
        await measure_lag(engine, rate_per_s=rate_per_s, seconds=seconds)
