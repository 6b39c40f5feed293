"""What must hold of the order of all events, whatever happened to who made it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_POSITIONS = text("select count(*), min(position), max(position) from public.log_index")
_WITHOUT_PLACE = text(
    """
    select count(*) from public.events e left join public.log_index l using (tenant_id, stream_id, version)
     where l.position is null
    """
)
_WITHOUT_EVENT = text(
    """
    select count(*) from public.log_index l left join public.events e using (tenant_id, stream_id, version)
     where e.event_id is null
    """
)
_TWICE = text(
    """
    select count(*) from (
        select 1 from public.log_index group by tenant_id, stream_id, version having count(*) > 1) t
    """
)
# Versions of a stream, read by position, are 1, 2, 3 and so on.
_OUT_OF_ORDER = text(
    """
    select count(*) from (
        select version, row_number() over (partition by tenant_id, stream_id order by position) as expected
          from public.log_index) v
     where version <> expected
    """
)


@dataclass(frozen=True, slots=True)
class Order:
    """Counts of what is wrong, all of which must be 0, and how many positions were given."""

    positions: int
    gaps: int
    duplicates: int
    out_of_order: int
    without_event: int
    waiting: int


async def order_of(admin: AsyncEngine) -> Order:
    """`admin` sees the rows of all tenants. All counts are of one moment."""
    async with admin.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        count, first, last = (await connection.execute(_POSITIONS)).one()
        return Order(
            positions=count,
            gaps=(0 if count == 0 else (last - first + 1 - count) + (first - 1)),
            duplicates=await connection.scalar(_TWICE) or 0,
            out_of_order=await connection.scalar(_OUT_OF_ORDER) or 0,
            without_event=await connection.scalar(_WITHOUT_EVENT) or 0,
            waiting=await connection.scalar(_WITHOUT_PLACE) or 0,
        )


async def assert_order_so_far(admin: AsyncEngine) -> Order:
    """No gap, no duplicate, no reorder, no place without its event; events may wait for theirs."""
    order = await order_of(admin)
    assert (order.gaps, order.duplicates, order.out_of_order, order.without_event) == (0, 0, 0, 0), order
    return order


async def assert_whole_order(admin: AsyncEngine) -> int:
    """The same, and every committed event has its place. Returns how many there are."""
    order = await assert_order_so_far(admin)
    assert order.waiting == 0, order
    return order.positions
