"""Reading the log by position, with a place that is kept under a name.

Positions are dense and are given in the order in which they become visible: whoever has seen one has seen, or
can read, all before it. An event is delivered at least once; who has seen its position drops it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.store.event_store import EVENT_COLUMNS, recorded_event
from activities.store.failures import store_failures
from activities.store.tenancy import tenant_transaction
from domain.errors import InvalidInput, RuleBroken, StoreUnavailable, UnknownEventType
from domain.events.envelope import RecordedEvent
from domain.events.payload import Payload
from domain.events.schema import SCHEMA, Schema
from domain.ids import Position, TenantId

log = structlog.get_logger()

PAGE_EVENTS_MAX = 1000
# Pages that are read ahead of the one that is being worked on. A reader that is slower makes reading wait.
PAGES_AHEAD_MAX = 2
# How long the end of the log is left alone before it is looked at again.
POLL_S = 0.02
RETRY_S = 0.5
NAME_CHARS_MAX = 100


class PositionOutOfRange(InvalidInput):
    """A place that the log, or this reader, has not come to."""

    code = "position_out_of_range"


class InvalidSubscription(InvalidInput):
    """The name cannot be kept."""

    code = "invalid_subscription"


class LogBroken(RuleBroken):
    """A position without its event: the record was changed by other means than ours."""

    code = "log_broken"

    def __init__(self, position: Position) -> None:
        super().__init__(
            f"position {position} of the log, or its event, is missing: the record was changed from outside, "
            "and nothing is read beyond it until it was restored from a backup"
        )
        self.position = position


@dataclass(frozen=True, slots=True)
class Sequenced:
    """An event and its place in the order of all."""

    position: Position
    event: RecordedEvent[Payload]


class Log:
    """The events of all tenants, or of one, in the order of their positions."""

    def __init__(self, engine: AsyncEngine, *, schema: Schema = SCHEMA) -> None:
        self._engine, self._schema = engine, schema
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def size(self) -> Position:
        """The last position that was given; 0 before the first."""
        with store_failures():
            async with self._single.connect() as connection:
                return Position(await connection.scalar(_SIZE) or 0)

    async def read(self, after: Position, *, limit: int = PAGE_EVENTS_MAX) -> list[Sequenced]:
        """Up to `limit` events of all tenants: after + 1, after + 2 and so on, none left out.

        Raises LogBroken, UnknownEventType for an event of a later release, or StoreUnavailable.
        """
        _check_page(after, limit)
        with store_failures():
            async with self._single.connect() as connection:
                rows = (await connection.exec_driver_sql(_READ, (after, limit))).mappings().all()
        for place, row in enumerate(rows, after + 1):
            if row["position"] != place or row["event_id"] is None:
                raise LogBroken(Position(place))
        return [Sequenced(Position(row["position"]), recorded_event(row, self._schema)) for row in rows]

    async def read_of_tenant(
        self, tenant_id: TenantId, after: Position, *, limit: int = PAGE_EVENTS_MAX
    ) -> list[Sequenced]:
        """The next events of one tenant. Between them stand those of others. Raises as `read` does."""
        _check_page(after, limit)
        async with tenant_transaction(self._engine, tenant_id) as connection:
            rows = (
                await connection.execute(
                    _READ_OF_TENANT, {"tenant_id": tenant_id, "after": after, "limit": limit}
                )
            ).mappings()
            found = rows.all()
        for row in found:
            if row["event_id"] is None:
                raise LogBroken(Position(row["place"]))
        return [Sequenced(Position(row["place"]), recorded_event(row, self._schema)) for row in found]


class Cursors:
    """How far each named reader has come."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def position(self, name: str) -> Position:
        """0 for a name that committed nothing yet."""
        _check_name(name)
        with store_failures():
            async with self._engine.connect() as connection:
                return Position(await connection.scalar(_POSITION, {"name": name}) or 0)

    async def commit(self, name: str, position: Position) -> None:
        """Everything up to `position` was dealt with. Safe to repeat; an earlier position changes nothing."""
        with store_failures():
            async with self._engine.begin() as connection:
                await commit_cursor(connection, name, position)

    async def rewind(self, name: str, position: Position = Position(0)) -> None:  # noqa: B008 - a number
        """Reads again what stands after `position`, as for a view that is built anew."""
        _check_name(name)
        with store_failures():
            async with self._engine.begin() as connection:
                await connection.execute(_REWIND, {"name": name, "position": position})


async def commit_cursor(connection: AsyncConnection, name: str, position: Position) -> None:
    """`Cursors.commit` inside the caller's transaction, together with what it wrote."""
    _check_name(name)
    await connection.execute(_COMMIT, {"name": name, "position": position})


class Subscription:
    """Pages of events after the committed place, without end. See `subscribe`."""

    def __init__(self, cursors: Cursors, name: str, start: Position, ahead: asyncio.Queue[Page]) -> None:
        self._cursors, self._ahead = cursors, ahead
        self.name, self._delivered = name, start

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> list[Sequenced]:
        page = await self._ahead.get()
        if isinstance(page, Exception):
            # Again at the next call too: there is nothing beyond it.
            self._ahead.put_nowait(page)
            raise page
        self._delivered = page[-1].position
        return page

    async def commit(self, position: Position | None = None) -> None:
        """Everything up to `position`, or all that was delivered, was dealt with. Safe to repeat.

        Raises PositionOutOfRange for what was not delivered yet.
        """
        if position is not None and position > self._delivered:
            raise PositionOutOfRange(
                f"{self.name} was given events up to position {self._delivered} and cannot commit {position}"
            )
        await self._cursors.commit(self.name, self._delivered if position is None else position)


# What the reader passes on: events, or why there are no more of them.
Page = list[Sequenced] | Exception


@asynccontextmanager
async def subscribe(
    source: Log,
    cursors: Cursors,
    name: str,
    *,
    page_events_max: int = PAGE_EVENTS_MAX,
    poll_s: float = POLL_S,
) -> AsyncIterator[Subscription]:
    """Reads on from where `name` has committed, PAGES_AHEAD_MAX pages ahead at most.

    A database that is away is waited for. Iterating raises LogBroken or UnknownEventType where the log cannot
    be read on. Entering raises PositionOutOfRange where the place lies beyond the log's end.
    """
    start = await cursors.position(name)
    size = await source.size()
    if start > size:
        raise PositionOutOfRange(
            f"the subscription {name} has come to position {start}, and the log ends at {size}: the database "
            "was set back. Build anew what was made of it, and rewind the subscription"
        )
    ahead: asyncio.Queue[Page] = asyncio.Queue(maxsize=PAGES_AHEAD_MAX)
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(_read_ahead(source, start, ahead, page_events_max, poll_s))
        try:
            yield Subscription(cursors, name, start, ahead)
        finally:
            reading.cancel()


async def _read_ahead(
    source: Log, after: Position, ahead: asyncio.Queue[Page], page_events_max: int, poll_s: float
) -> None:
    while True:
        try:
            page = await source.read(after, limit=page_events_max)
        except StoreUnavailable as away:
            log.warning("subscription.postponed", code=away.code)
            await asyncio.sleep(RETRY_S)
            continue
        except (LogBroken, UnknownEventType) as wrong:
            await ahead.put(wrong)
            return
        if page:
            await ahead.put(page)
            after = page[-1].position
        else:
            await asyncio.sleep(poll_s)


def _check_page(after: Position, limit: int) -> None:
    if after < 0 or not 1 <= limit <= PAGE_EVENTS_MAX:
        raise PositionOutOfRange(
            f"a page holds 1 to {PAGE_EVENTS_MAX} events after position 0 or a later one"
        )


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= NAME_CHARS_MAX or "\0" in name:
        raise InvalidSubscription(f"a subscription's name has 1 to {NAME_CHARS_MAX} characters")


_SIZE = text("select public.log_size()")
# Sorted here: the function takes one tenant after the other.
_READ = f"""
    select position, {EVENT_COLUMNS} from public.read_log($1, $2) order by position
"""  # noqa: S608  # A constant of another module.
# A range in an order names the index by version, as in read_log.
_READ_OF_TENANT = text(
    """
    select l.position as place, e.*
      from (select position, tenant_id, stream_id, version from public.log_index
             where tenant_id = :tenant_id and position > :after order by position limit :limit) l
      left join lateral (
            select * from public.events e
             where e.tenant_id = l.tenant_id and e.stream_id = l.stream_id
               and e.version >= l.version and e.version <= l.version
             order by e.version limit 1) e on true
     order by l.position
    """
)
_POSITION = text("select position from public.subscriptions where name = :name")
_COMMIT = text(
    """
    insert into public.subscriptions (name, position) values (:name, :position)
    on conflict (name) do update set position = excluded.position, updated_at = clock_timestamp()
     where subscriptions.position < excluded.position
    """
)
_REWIND = text(
    """
    insert into public.subscriptions (name, position) values (:name, :position)
    on conflict (name) do update set position = excluded.position, updated_at = clock_timestamp()
    """
)
