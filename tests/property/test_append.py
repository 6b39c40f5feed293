"""What holds for any interleaving of appends, on a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.event_store import PostgresEventStore
from domain.errors import StaleEpoch, StoreError, VersionConflict
from domain.events.envelope import NewEvent
from domain.events.payload import Payload
from domain.ids import StreamId, TenantId
from domain.ports import Appended, EventStore, Expected
from tests.fakes.event_store import InMemoryEventStore
from tests.fakes.events import new_stream, said, sealed, several

# The engine outlives an example and keeps nothing of it: every example has a stream of its own.
real = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Attempt:
    """Positions in a pool of events, sent as one batch."""

    chosen: tuple[int, ...]
    expected: Expected
    epoch: int


POOL = 6
attempts = st.builds(
    Attempt,
    chosen=st.one_of(
        # A stretch of the pool, as an outbox sends it that grew since the last time ...
        st.tuples(st.integers(0, POOL - 1), st.integers(1, POOL)).map(
            lambda stretch: tuple(range(stretch[0], min(POOL, stretch[0] + stretch[1])))
        ),
        # ... or whatever.
        st.permutations(range(POOL)).flatmap(
            lambda order: st.integers(1, POOL).map(lambda count: tuple(order[:count]))
        ),
    ),
    expected=st.one_of(st.just("any"), st.just("no_stream"), st.integers(1, POOL)),
    epoch=st.integers(0, 3),
)


async def outcome(
    store: EventStore,
    tenant: TenantId,
    stream: StreamId,
    batch: Sequence[NewEvent[Payload]],
    attempt: Attempt,
) -> object:
    try:
        done = await store.append(tenant, stream, batch, expected=attempt.expected, epoch=attempt.epoch)
    except StoreError as error:
        return type(error), vars(error)
    return done.first_version, done.last_version, done.repeated


@real
@given(plan=st.lists(attempts, max_size=8), seal_last=st.booleans())
async def test_postgres_and_the_store_in_memory_decide_alike(
    event_store: PostgresEventStore, tenant_id: TenantId, plan: list[Attempt], seal_last: bool
) -> None:
    memory, stream = InMemoryEventStore(), new_stream()
    pool = [*several(POOL - 1), sealed(0) if seal_last else said()]

    for attempt in plan:
        batch = [pool[position] for position in attempt.chosen]
        if seal_last and (POOL - 1) in attempt.chosen[:-1]:
            continue  # Nothing follows a seal: such a batch is refused before it is sent.
        assert await outcome(event_store, tenant_id, stream, batch, attempt) == await outcome(
            memory, tenant_id, stream, batch, attempt
        )
        assert await event_store.head(tenant_id, stream) == await memory.head(tenant_id, stream)

    stored, remembered = await event_store.read(tenant_id, stream), await memory.read(tenant_id, stream)
    assert [(e.version, e.event_id, e.session_epoch) for e in stored] == [
        (e.version, e.event_id, e.session_epoch) for e in remembered
    ]


@real
@given(sizes=st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=2, max_size=6))
async def test_concurrent_appenders_lose_nothing_and_leave_no_hole(
    event_store: PostgresEventStore, tenant_id: TenantId, sizes: list[list[int]]
) -> None:
    stream = new_stream()
    writers = [[several(size) for size in batches] for batches in sizes]

    async def write(batches: list[list[NewEvent[Payload]]]) -> list[Appended]:
        return [
            await event_store.append(tenant_id, stream, batch, expected="any", epoch=0) for batch in batches
        ]

    results = await asyncio.gather(*(write(batches) for batches in writers))

    read = await event_store.read(tenant_id, stream)
    assert [event.version for event in read] == list(range(1, len(read) + 1))
    assert len(read) == sum(map(sum, sizes))
    for batches, places in zip(writers, results, strict=True):
        assert [place.first_version for place in places] == sorted(place.first_version for place in places)
        for batch, place in zip(batches, places, strict=True):
            between = read[place.first_version - 1 : place.last_version]
            assert [event.event_id for event in between] == [event.event_id for event in batch]


@real
@given(sizes=st.lists(st.integers(1, 5), min_size=2, max_size=5))
async def test_appenders_that_insist_on_a_version_all_come_through_one_at_a_time(
    event_store: PostgresEventStore, tenant_id: TenantId, sizes: list[int]
) -> None:
    stream = new_stream()
    batches = [several(size) for size in sizes]

    async def insist(batch: list[NewEvent[Payload]]) -> None:
        while True:
            head = await event_store.head(tenant_id, stream)
            try:
                await event_store.append(
                    tenant_id, stream, batch, expected=head.version if head else "no_stream", epoch=0
                )
            except VersionConflict:
                continue
            return

    await asyncio.gather(*(insist(batch) for batch in batches))

    read = [event.event_id for event in await event_store.read(tenant_id, stream)]
    assert len(read) == sum(sizes)
    for batch in batches:
        at = read.index(batch[0].event_id)
        assert read[at : at + len(batch)] == [event.event_id for event in batch]


@real
@given(size=st.integers(1, 20), times=st.integers(2, 5), known=st.booleans())
async def test_a_batch_that_is_sent_at_the_same_time_by_several_is_stored_once(
    event_store: PostgresEventStore, tenant_id: TenantId, size: int, times: int, known: bool
) -> None:
    stream, batch = new_stream(), several(size)
    if known:
        await event_store.append(tenant_id, stream, several(1), expected="no_stream", epoch=0)

    results = await asyncio.gather(
        *(event_store.append(tenant_id, stream, batch, expected="any", epoch=0) for _ in range(times))
    )

    assert sum(not result.repeated for result in results) == 1
    assert len({(r.first_version, r.last_version, r.recorded_at) for r in results}) == 1
    assert len(await event_store.read(tenant_id, stream)) == size + known


@real
@given(size=st.integers(2, 20), cuts=st.lists(st.integers(1, 20), min_size=1, max_size=4))
async def test_a_batch_that_grows_while_it_is_sent_is_completed(
    event_store: PostgresEventStore, tenant_id: TenantId, size: int, cuts: list[int]
) -> None:
    stream, batch = new_stream(), several(size)

    # In whatever order they arrive: a shorter one that comes late is a repeat of what is stored.
    await asyncio.gather(
        *(
            event_store.append(tenant_id, stream, batch[: min(cut, size)], expected="no_stream", epoch=0)
            for cut in [*cuts, size]
        )
    )

    read = await event_store.read(tenant_id, stream)
    assert [event.event_id for event in read] == [event.event_id for event in batch]


@real
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    patience_ms=st.lists(st.floats(0, 4), min_size=5, max_size=5),
)
async def test_an_append_that_was_cancelled_is_whole_or_absent_and_can_be_sent_again(
    event_store: PostgresEventStore, tenant_id: TenantId, sizes: list[int], patience_ms: list[float]
) -> None:
    stream = new_stream()
    batches = [several(size) for size in sizes]

    async def give_up(batch: list[NewEvent[Payload]], after_ms: float) -> None:
        try:
            async with asyncio.timeout(after_ms / 1000):
                await event_store.append(tenant_id, stream, batch, expected="any", epoch=0)
        except TimeoutError:
            pass

    await asyncio.gather(*(give_up(b, ms) for b, ms in zip(batches, patience_ms, strict=False)))
    found = [event.event_id for event in await event_store.read(tenant_id, stream)]
    for batch in batches:
        assert len({event.event_id for event in batch} & set(found)) in (0, len(batch))

    for batch in batches:
        await event_store.append(tenant_id, stream, batch, expected="any", epoch=0)

    read = await event_store.read(tenant_id, stream)
    assert [event.version for event in read] == list(range(1, sum(sizes) + 1))
    assert {event.event_id for event in read} == {event.event_id for batch in batches for event in batch}


@real
@given(order=st.permutations(["append", "append", "raise", "append"]), head_start_ms=st.floats(0, 3))
async def test_an_append_in_flight_is_in_before_the_epoch_is_raised_or_never(
    engine: AsyncEngine,
    event_store: PostgresEventStore,
    tenant_id: TenantId,
    order: list[str],
    head_start_ms: float,
) -> None:
    stream = new_stream()
    await event_store.append(tenant_id, stream, several(1), expected="no_stream", epoch=1)
    seen_at_raise: list[int] = []

    async def old_owner() -> bool:
        try:
            await event_store.append(tenant_id, stream, several(2), expected="any", epoch=1)
        except StaleEpoch:
            return False
        return True

    async def raise_epoch() -> bool:
        await event_store.append(tenant_id, stream, several(1), expected="any", epoch=2)
        seen_at_raise.extend(
            e.version for e in await event_store.read(tenant_id, stream) if e.session_epoch == 1
        )
        return True

    # The head's row is held, so that all of them are in flight together and in this order.
    async with engine.connect() as holder:
        await holder.execute(text("select set_config('app.tenant', :t, true)"), {"t": str(tenant_id)})
        await holder.execute(
            text("select from public.streams where stream_id = :s for update"), {"s": stream}
        )
        tasks = []
        for name in order:
            tasks.append(asyncio.create_task(raise_epoch() if name == "raise" else old_owner()))
            await asyncio.sleep(head_start_ms / 1000)
        await holder.rollback()
    results = await asyncio.gather(*tasks)

    read = await event_store.read(tenant_id, stream)
    of_old = [event.version for event in read if event.session_epoch == 1]
    assert of_old == seen_at_raise
    assert len(of_old) == 1 + 2 * (sum(results) - 1)
    assert [event.session_epoch for event in read] == sorted(event.session_epoch for event in read)
