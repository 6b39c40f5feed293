"""The sweep looks after every open record, a bounded number at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from activities.sweep import SWEEP_PAGE_MAX, SWEEP_PAGES_MAX, Sweep, Unsealed
from domain.errors import Unavailable
from domain.ids import ConversationId, TenantId, conversation_stream

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class FakeRecords:
    """Open streams, oldest first, and the workflows that were started for them."""

    def __init__(self, count: int) -> None:
        self.open = [
            Unsealed(
                TenantId(UUID(int=1)),
                conversation_stream(ConversationId(UUID(int=n))),
                NOON + timedelta(seconds=n),
            )
            for n in range(count)
        ]
        self.looked_after: list[Unsealed] = []
        self.pages: list[int] = []
        self.fails_at: Unsealed | None = None

    async def read(self, after: Unsealed | None, limit: int) -> list[Unsealed]:
        first = 0 if after is None else self.open.index(after) + 1
        page = self.open[first : first + limit]
        self.pages.append(len(page))
        return page

    async def ensure(self, unsealed: Unsealed) -> bool:
        if unsealed is self.fails_at:
            raise Unavailable("no answer")
        self.looked_after.append(unsealed)
        return True


async def test_every_page_is_looked_after_and_then_the_first_again() -> None:
    records = FakeRecords(SWEEP_PAGE_MAX + 3)
    sweep = Sweep(records.read, records.ensure)

    swept = await sweep.once()
    await sweep.once()

    assert swept.started == SWEEP_PAGE_MAX + 3
    assert records.pages == [SWEEP_PAGE_MAX, 3] * 2
    assert records.looked_after == records.open * 2


async def test_what_lies_beyond_the_bound_comes_with_the_next_sweep() -> None:
    records = FakeRecords(SWEEP_PAGES_MAX * SWEEP_PAGE_MAX + 3)
    sweep = Sweep(records.read, records.ensure)

    first, second = await sweep.once(), await sweep.once()

    assert (first.open, second.open) == (SWEEP_PAGES_MAX * SWEEP_PAGE_MAX, 3)
    assert records.looked_after == records.open


async def test_a_page_that_failed_is_taken_up_again() -> None:
    records = FakeRecords(5)
    records.fails_at = records.open[2]
    sweep = Sweep(records.read, records.ensure)

    with pytest.raises(Unavailable):
        await sweep.once()
    records.fails_at = None
    swept = await sweep.once()

    assert swept.started == 5


def test_a_stream_names_its_conversation() -> None:
    assert FakeRecords(8).open[7].conversation_id == UUID(int=7)
