"""How long an event that was committed waits for its place, at a steady rate of events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.benchmark import percentile
from activities.store.event_store import PostgresEventStore
from activities.store.failures import store_failures
from activities.store.subscription import PAGE_EVENTS_MAX
from domain.errors import Unavailable
from domain.events.catalogue import TextInjected
from domain.events.envelope import Actor, ActorKind, NewEvent
from domain.events.payload import Payload
from domain.ids import EventId, StreamId, TenantId

RATE_MAX = 20_000
SECONDS_MAX = 600.0
# So many writers at once, and so many events in each append of theirs.
WRITERS = 4
APPEND_EVENTS = 50
# Not measured: the first statements of a connection are planned, and the server's caches are filled.
WARM_UP_S = 1.0
POLL_S = 0.005
# An event that has no place by then is not waited for any longer.
PLACED_WITHIN_S = 15.0


class NoSequencer(Unavailable):
    """Events were committed and did not get their places."""

    code = "no_sequencer"


@dataclass(frozen=True, slots=True)
class LagFigures:
    """Milliseconds from an append's answer to the moment at which a reader sees the event's position."""

    events: int
    rate_per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(slots=True)
class _Seen:
    """Events by stream and version, and when each was committed and when it was read, as far as known."""

    committed_s: dict[tuple[str, int], float] = field(default_factory=dict)
    read_s: dict[tuple[str, int], float] = field(default_factory=dict)


async def measure_lag(engine: AsyncEngine, *, rate_per_s: int, seconds: float) -> LagFigures:
    """Appends at that rate while a sequencer that runs elsewhere gives positions.

    What it writes stays in the log, under a tenant made for it that nobody has a key for. `engine` needs
    WRITERS + 1 connections. Raises NoSequencer.
    """
    if not 1 <= rate_per_s <= RATE_MAX or not 0 < seconds <= SECONDS_MAX:
        raise ValueError(f"1 to {RATE_MAX} events a second for {SECONDS_MAX:.0f} s at most can be measured")
    tenant_id, seen = TenantId(uuid4()), _Seen()
    store, measured_from = PostgresEventStore(engine), time.perf_counter() + WARM_UP_S
    written = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(_read(engine, tenant_id, seen, written))
        async with asyncio.TaskGroup() as writing:
            for number in range(WRITERS):
                ticks = _ticks(APPEND_EVENTS * WRITERS / rate_per_s, seconds + WARM_UP_S, number / WRITERS)
                writing.create_task(_write(store, tenant_id, seen, ticks))
        took_s = time.perf_counter() - measured_from
        written.set()
        await reading
    lags_ms = sorted(
        # The answer may be on its way when the position is read already.
        max(0.0, read - seen.committed_s[event]) * 1000
        for event, read in seen.read_s.items()
        if seen.committed_s[event] > measured_from
    )
    return LagFigures(
        events=len(lags_ms),
        rate_per_s=len(lags_ms) / took_s,
        p50_ms=percentile(lags_ms, 50),
        p99_ms=percentile(lags_ms, 99),
        max_ms=lags_ms[-1],
    )


async def _write(
    store: PostgresEventStore, tenant_id: TenantId, seen: _Seen, ticks: AsyncIterator[None]
) -> None:
    stream = StreamId(f"benchmark-{uuid4()}")
    async for _ in ticks:
        appended = await store.append(tenant_id, stream, _events(), expected="any", epoch=0)
        now = time.perf_counter()
        for version in range(appended.first_version, appended.last_version + 1):
            seen.committed_s[stream, version] = now


async def _ticks(interval_s: float, seconds: float, phase: float) -> AsyncIterator[None]:
    """At fixed times; one that was missed comes at once."""
    began = time.perf_counter()
    for number in range(max(1, round(seconds / interval_s))):
        await asyncio.sleep(max(0.0, began + (number + phase) * interval_s - time.perf_counter()))
        yield


async def _read(engine: AsyncEngine, tenant_id: TenantId, seen: _Seen, written: asyncio.Event) -> None:
    """Until everything that was written has been read. The places alone are asked for: what events say would
    be this process's own work, and not the sequencer's."""
    single = engine.execution_options(isolation_level="AUTOCOMMIT")
    give_up_s = float("inf")
    with store_failures():
        async with single.connect() as connection:
            after = await connection.scalar(_SIZE)
            while not written.is_set() or len(seen.read_s) < len(seen.committed_s):
                if written.is_set():
                    give_up_s = min(give_up_s, time.perf_counter() + PLACED_WITHIN_S)
                if time.perf_counter() > give_up_s:
                    raise NoSequencer(
                        f"events got no places within {PLACED_WITHIN_S:.0f} s: start a sequencer"
                    )
                rows = (await connection.exec_driver_sql(_PLACES, (after, PAGE_EVENTS_MAX))).all()
                now = time.perf_counter()
                for row in rows:
                    after = row.position
                    if row.tenant_id == tenant_id:
                        seen.read_s[row.stream_id, row.version] = now
                await asyncio.sleep(POLL_S)


def _events() -> list[NewEvent[Payload]]:
    now = datetime.now(UTC)
    return [
        NewEvent(
            event_id=EventId(uuid4()),
            occurred_at=now,
            actor=Actor(kind=ActorKind.SYSTEM, id="benchmark"),
            payload=TextInjected(text="Your policy covers water damage from a burst pipe."),
        )
        for _ in range(APPEND_EVENTS)
    ]


_SIZE = text("select public.log_size()")
_PLACES = "select position, tenant_id, stream_id, version from public.log_places($1, $2)"
