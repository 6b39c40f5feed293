"""Appends as the product makes them, and such as stay uncommitted for as long as a test wants."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.store.event_store import _APPEND, PostgresEventStore
from activities.store.failures import store_failures
from activities.store.sequencer import (
    BATCH_EVENTS_MAX,
    STANDBY_INTERVAL_S,
    LeaseToken,
    Placed,
    Sequencer,
    lead_or_stand_by,
)
from domain.errors import StoreUnavailable
from domain.events.envelope import NewEvent
from domain.events.payload import Payload
from domain.ids import StreamId, TenantId
from tests.fakes.events import new_stream, several
from tests.fakes.log_order import assert_order_so_far


async def append(
    engine: AsyncEngine, tenant_id: TenantId, stream: StreamId | None = None, *, count: int = 1
) -> None:
    store = PostgresEventStore(engine)
    await store.append(tenant_id, stream or new_stream(), several(count), expected="any", epoch=0)


@asynccontextmanager
async def held_append(
    engine: AsyncEngine, tenant_id: TenantId, events: Sequence[NewEvent[Payload]], *, stream: StreamId
) -> AsyncIterator[AsyncConnection]:
    """Between insert and commit, which the body decides on."""
    async with engine.connect() as connection:
        await append_on(connection, tenant_id, stream, events)
        yield connection


async def append_on(
    connection: AsyncConnection, tenant_id: TenantId, stream: StreamId, events: Sequence[NewEvent[Payload]]
) -> None:
    """The product's statement inside a transaction of the caller's."""
    columns = PostgresEventStore(connection.engine)._columns(events)
    await connection.exec_driver_sql(_APPEND, (tenant_id, stream, None, 0, *columns))


async def place_all(
    sequencer: Sequencer, token: LeaseToken, *, limit: int = BATCH_EVENTS_MAX
) -> list[Placed]:
    """Until there is nothing more to place just now."""
    placed: list[Placed] = []
    while True:
        batch = await sequencer.sequence(token, limit=limit)
        placed += batch.placed
        if not batch.more:
            return placed


# How long an append of these tests may stand between its insert and its commit.
HELD_S_MAX = 0.03
ROLLED_BACK_SHARE = 0.1
BEGUN_EARLY_SHARE = 0.3


@dataclass
class Appenders:
    """Several writers that append to shared streams, until the body of `appending` ends."""

    events: int = 0


@asynccontextmanager
async def appending(
    engine: AsyncEngine, tenant_id: TenantId, *, writers: int = 3
) -> AsyncIterator[Appenders]:
    """With random delays between insert and commit. Some are rolled back at last, and some have the number of
    their transaction from before they waited for the stream. A server that is away is waited for."""
    counted, stop = Appenders(), asyncio.Event()
    streams = [new_stream() for _ in range(2 * writers)]

    async def write(chance: random.Random) -> None:
        while not stop.is_set():
            events = several(chance.randint(1, 4))
            try:
                with store_failures():
                    async with engine.connect() as connection:
                        if chance.random() < BEGUN_EARLY_SHARE:
                            await connection.execute(text("select pg_current_xact_id()"))
                        await append_on(connection, tenant_id, chance.choice(streams), events)
                        await asyncio.sleep(chance.random() * HELD_S_MAX)
                        if chance.random() < ROLLED_BACK_SHARE:
                            await connection.rollback()
                        else:
                            await connection.commit()
                            counted.events += len(events)
            except StoreUnavailable:
                await asyncio.sleep(HELD_S_MAX)

    async with asyncio.TaskGroup() as tasks:
        for number in range(writers):
            tasks.create_task(write(random.Random(number)))
        try:
            yield counted
        finally:
            stop.set()


@asynccontextmanager
async def sequencing_meanwhile(
    sequencer: Sequencer, *, standby_interval_s: float = STANDBY_INTERVAL_S
) -> AsyncIterator[asyncio.Event]:
    """A sequencer in the background, until its event is set or the body ends."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(lead_or_stand_by(sequencer, stop, standby_interval_s=standby_interval_s))
        try:
            yield stop
        finally:
            stop.set()


async def until_placed(admin: AsyncEngine, count: int | None = None, *, within_s: float = 10.0) -> None:
    """Until so many positions were given, or, without a number, until no committed event waits for one."""
    async with asyncio.timeout(within_s):
        while True:
            order = await assert_order_so_far(admin)
            if order.waiting == 0 if count is None else order.positions >= count:
                return
            await asyncio.sleep(0.02)


# Left uncommitted, it makes a batch wait between two of its rows.
IN_THE_WAY = text(
    "insert into public.log_index (position, tenant_id, stream_id, version)"
    " values (:position, :tenant, 'in the way', 1)"
)
_WAITING = text(
    "select pid from pg_stat_activity where application_name = 'sequencer' and wait_event_type = 'Lock'"
    " and datname = current_database()"
)


async def waiting_backends(admin: AsyncEngine, count: int, *, within_s: float = 10.0) -> list[int]:
    """The server's processes in which sequencers wait for a lock, once there are so many."""
    async with asyncio.timeout(within_s):
        while True:
            async with admin.connect() as connection:
                pids = list(await connection.scalars(_WAITING))
            if len(pids) == count:
                return pids
            await asyncio.sleep(0.02)
