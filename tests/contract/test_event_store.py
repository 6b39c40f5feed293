"""What every event store promises. Each test runs against Postgres and against the store in memory."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest

from activities.store.batch import PAYLOAD_BYTES_MAX, InvalidBatch
from domain.errors import BatchOverlap, StaleEpoch, StreamSealed, VersionConflict
from domain.events.canonical import canonical_bytes
from domain.events.catalogue import HeardWord, UtteranceTranscribed
from domain.events.envelope import Actor, ActorKind, Classification, NewEvent
from domain.events.payload import Payload
from domain.ids import EventId, StreamId, TenantId, TurnId, UtteranceId
from domain.ports import BATCH_EVENTS_MAX, EVENTS_READ_MAX, EventStore, Head
from tests.fakes.event_store import InMemoryEventStore
from tests.fakes.events import NOON, new_stream, said, sealed, several, started


@pytest.fixture(params=["postgres", "memory"])
def store(request: pytest.FixtureRequest) -> EventStore:
    if request.param == "memory":
        return InMemoryEventStore()
    stored: EventStore = request.getfixturevalue("event_store")
    return stored


@pytest.fixture
def stream() -> StreamId:
    return new_stream()


async def written(store: EventStore, tenant: TenantId, stream: StreamId) -> list[EventId]:
    return [event.event_id for event in await store.read(tenant, stream)]


# --- appending and reading ----------------------------------------------------------------------------
async def test_events_come_back_in_their_order_with_dense_versions_from_one(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    first, second = several(2), several(3)

    await store.append(tenant_id, stream, first, expected="no_stream", epoch=0)
    appended = await store.append(tenant_id, stream, second, expected=2, epoch=0)

    assert (appended.first_version, appended.last_version, appended.repeated) == (3, 5, False)
    read = await store.read(tenant_id, stream)
    assert [event.version for event in read] == [1, 2, 3, 4, 5]
    assert [event.event_id for event in read] == [event.event_id for event in [*first, *second]]


async def test_everything_that_an_event_says_is_kept(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    event: NewEvent[Payload] = NewEvent(
        event_id=EventId(uuid4()),
        occurred_at=datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=timezone(timedelta(hours=2))),
        actor=Actor(kind=ActorKind.PARTICIPANT, id="p-1"),
        payload=UtteranceTranscribed(
            utterance_id=UtteranceId(uuid4()),
            turn_id=TurnId(uuid4()),
            text="Straße, naïve, 保険 \u0000 \U0001f600",
            words=(HeardWord(w="Straße", start_ms=0, end_ms=400, confidence=1 / 3),),
            times="aligned",
            recogniser="tests",
            source="speech",
            started_media_ms=0,
            ended_media_ms=400,
        ),
        causation_id=EventId(uuid4()),
        correlation_id=TurnId(uuid4()),
        media_ms=2**40,
    )

    await store.append(tenant_id, stream, [event], expected="any", epoch=7)

    [read] = await store.read(tenant_id, stream)
    assert read.payload == event.payload
    assert (read.event_id, read.occurred_at, read.actor) == (event.event_id, event.occurred_at, event.actor)
    assert (read.causation_id, read.correlation_id) == (event.causation_id, event.correlation_id)
    assert (read.media_ms, read.session_epoch, read.version) == (2**40, 7, 1)
    assert (read.tenant_id, read.stream_id, read.stored_schema_version) == (tenant_id, stream, 1)
    assert read.classification is Classification.PERSONAL
    assert read.payload_sha256 == hashlib.sha256(canonical_bytes(event.payload.to_json())).hexdigest()
    assert read.recorded_at.utcoffset() == timedelta(0)


async def test_times_are_told_in_one_zone_so_that_headers_are_the_same_whoever_wrote_them(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    elsewhere = said().model_copy(update={"occurred_at": NOON.astimezone(timezone(timedelta(hours=9)))})

    await store.append(tenant_id, stream, [elsewhere], expected="any", epoch=0)

    [read] = await store.read(tenant_id, stream)
    assert read.header()["occurred_at"] == NOON.isoformat()


async def test_reading_goes_on_after_a_version_and_stops_at_the_limit(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    await store.append(tenant_id, stream, several(5), expected="any", epoch=0)

    assert [event.version for event in await store.read(tenant_id, stream, after=1, limit=3)] == [2, 3, 4]
    assert await store.read(tenant_id, stream, after=5) == []


async def test_one_read_returns_a_bounded_number_of_events(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    await store.append(tenant_id, stream, several(BATCH_EVENTS_MAX), expected="any", epoch=0)
    await store.append(tenant_id, stream, several(1), expected="any", epoch=0)

    read = await store.read(tenant_id, stream, limit=10 * EVENTS_READ_MAX)

    assert len(read) == EVENTS_READ_MAX
    assert len(await store.read(tenant_id, stream, after=read[-1].version)) == 1


async def test_a_stream_that_is_not_there_has_no_head_and_no_events(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    assert await store.head(tenant_id, stream) is None
    assert await store.read(tenant_id, stream) == []


async def test_the_head_tells_version_epoch_and_seal(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    await store.append(tenant_id, stream, several(2), expected="any", epoch=3)
    assert await store.head(tenant_id, stream) == Head(version=2, epoch=3, sealed=False)

    await store.append(tenant_id, stream, [sealed(2)], expected=2, epoch=4)
    assert await store.head(tenant_id, stream) == Head(version=3, epoch=4, sealed=True)


async def test_two_tenants_may_use_one_stream_id_and_see_their_own(
    store: EventStore, stream: StreamId
) -> None:
    ours, theirs = TenantId(uuid4()), TenantId(uuid4())
    mine, other = said(), said()

    await store.append(ours, stream, [mine], expected="no_stream", epoch=5)
    await store.append(theirs, stream, [other], expected="no_stream", epoch=0)

    assert await written(store, ours, stream) == [mine.event_id]
    assert await written(store, theirs, stream) == [other.event_id]


# --- what was expected --------------------------------------------------------------------------------
async def test_a_stream_that_is_there_is_no_new_stream(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    await store.append(tenant_id, stream, several(2), expected="no_stream", epoch=0)

    with pytest.raises(VersionConflict) as refused:
        await store.append(tenant_id, stream, several(1), expected="no_stream", epoch=0)

    assert (refused.value.expected, refused.value.actual) == (0, 2)


@pytest.mark.parametrize("expected", [1, 3])
async def test_another_version_than_the_expected_is_refused(
    store: EventStore, tenant_id: TenantId, stream: StreamId, expected: int
) -> None:
    await store.append(tenant_id, stream, several(2), expected="any", epoch=0)

    with pytest.raises(VersionConflict) as refused:
        await store.append(tenant_id, stream, several(1), expected=expected, epoch=0)

    assert (refused.value.expected, refused.value.actual) == (expected, 2)
    assert len(await written(store, tenant_id, stream)) == 2


async def test_a_version_is_not_expected_of_a_stream_that_is_not_there(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    with pytest.raises(VersionConflict) as refused:
        await store.append(tenant_id, stream, several(1), expected=1, epoch=0)

    assert refused.value.actual == 0
    assert await store.head(tenant_id, stream) is None


async def test_of_two_that_expect_the_same_version_one_writes(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    await store.append(tenant_id, stream, several(1), expected="no_stream", epoch=0)

    results = await asyncio.gather(
        *(store.append(tenant_id, stream, several(2), expected=1, epoch=0) for _ in range(6)),
        return_exceptions=True,
    )

    assert sum(isinstance(result, VersionConflict) for result in results) == 5
    assert len(await written(store, tenant_id, stream)) == 3


async def test_of_two_that_begin_a_stream_one_does(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    results = await asyncio.gather(
        *(store.append(tenant_id, stream, several(2), expected="no_stream", epoch=0) for _ in range(6)),
        return_exceptions=True,
    )

    assert sum(isinstance(result, VersionConflict) for result in results) == 5
    assert len(await written(store, tenant_id, stream)) == 2


# --- sent again ---------------------------------------------------------------------------------------
async def test_a_batch_that_is_sent_again_returns_the_first_result(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    batch = several(3)
    first = await store.append(tenant_id, stream, batch, expected="no_stream", epoch=1)
    await store.append(tenant_id, stream, several(2), expected="any", epoch=2)

    again = await store.append(tenant_id, stream, batch, expected="no_stream", epoch=1)

    assert (again.first_version, again.last_version, again.recorded_at) == (1, 3, first.recorded_at)
    assert again.repeated
    assert len(await written(store, tenant_id, stream)) == 5


async def test_a_seal_that_is_sent_again_returns_the_first_result(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    seal = sealed(1)
    await store.append(tenant_id, stream, several(1), expected="any", epoch=0)
    await store.append(tenant_id, stream, [seal], expected=1, epoch=1)

    again = await store.append(tenant_id, stream, [seal], expected=1, epoch=1)

    assert again.repeated
    assert await store.head(tenant_id, stream) == Head(version=2, epoch=1, sealed=True)


@pytest.mark.parametrize("expected", ["any", "no_stream"])
async def test_a_batch_of_which_the_beginning_is_stored_is_completed(
    store: EventStore, tenant_id: TenantId, stream: StreamId, expected: str
) -> None:
    batch = several(4)
    await store.append(tenant_id, stream, batch[:2], expected="no_stream", epoch=0)

    completed = await store.append(
        tenant_id, stream, batch, expected="no_stream" if expected == "no_stream" else "any", epoch=0
    )

    assert (completed.first_version, completed.last_version, completed.repeated) == (1, 4, False)
    assert await written(store, tenant_id, stream) == [event.event_id for event in batch]


async def test_a_batch_is_completed_behind_what_others_wrote_meanwhile(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    batch, other = several(3), said()
    await store.append(tenant_id, stream, batch[:2], expected="any", epoch=0)
    await store.append(tenant_id, stream, [other], expected="any", epoch=0)

    completed = await store.append(tenant_id, stream, batch, expected="any", epoch=0)

    assert (completed.first_version, completed.last_version) == (1, 4)
    assert (await written(store, tenant_id, stream))[2:] == [other.event_id, batch[2].event_id]


async def test_a_batch_is_not_completed_at_an_exact_version_that_others_moved(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    batch = several(3)
    await store.append(tenant_id, stream, batch[:2], expected="no_stream", epoch=0)
    await store.append(tenant_id, stream, several(1), expected="any", epoch=0)

    with pytest.raises(VersionConflict):
        await store.append(tenant_id, stream, batch, expected="no_stream", epoch=0)


async def test_a_batch_whose_beginning_stands_elsewhere_is_not_completed_at_an_exact_version(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    batch = several(2)
    await store.append(tenant_id, stream, batch[:1], expected="no_stream", epoch=0)
    await store.append(tenant_id, stream, several(1), expected="any", epoch=0)

    # Version 1 and one more make the head's 2; but it is not the batch's own event that stands there.
    with pytest.raises(VersionConflict):
        await store.append(tenant_id, stream, batch, expected=1, epoch=0)


@pytest.mark.parametrize("kept", [(1,), (2,), (0, 2), (1, 2)], ids=str)
async def test_a_batch_of_which_something_else_is_stored_is_refused(
    store: EventStore, tenant_id: TenantId, stream: StreamId, kept: tuple[int, ...]
) -> None:
    batch = several(3)
    await store.append(tenant_id, stream, [batch[i] for i in kept], expected="any", epoch=0)

    with pytest.raises(BatchOverlap):
        await store.append(tenant_id, stream, batch, expected="any", epoch=0)

    assert await written(store, tenant_id, stream) == [batch[i].event_id for i in kept]


async def test_a_batch_that_is_stored_in_another_order_is_refused(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    batch = several(2)
    await store.append(tenant_id, stream, batch[::-1], expected="any", epoch=0)

    with pytest.raises(BatchOverlap):
        await store.append(tenant_id, stream, batch, expected="any", epoch=0)


async def test_the_same_event_may_stand_in_two_streams(store: EventStore, tenant_id: TenantId) -> None:
    event = said()
    for stream in (new_stream(), new_stream()):
        appended = await store.append(tenant_id, stream, [event], expected="no_stream", epoch=0)
        assert not appended.repeated


# --- owners and seals ---------------------------------------------------------------------------------
async def test_a_newer_epoch_takes_the_stream_over_and_the_older_one_is_refused(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    await store.append(tenant_id, stream, several(1), expected="any", epoch=1)
    await store.append(tenant_id, stream, several(1), expected="any", epoch=3)

    with pytest.raises(StaleEpoch) as refused:
        await store.append(tenant_id, stream, several(1), expected="any", epoch=2)

    assert (refused.value.epoch, refused.value.current) == (2, 3)
    assert [event.session_epoch for event in await store.read(tenant_id, stream)] == [1, 3]


async def test_an_older_owner_may_not_complete_a_batch(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    batch = several(2)
    await store.append(tenant_id, stream, batch[:1], expected="any", epoch=1)
    await store.append(tenant_id, stream, several(1), expected="any", epoch=2)

    with pytest.raises(StaleEpoch):
        await store.append(tenant_id, stream, batch, expected="any", epoch=1)


async def test_a_sealed_stream_takes_no_more_events(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    await store.append(tenant_id, stream, [started(), sealed(1)], expected="any", epoch=1)

    for epoch in (0, 1, 2):
        with pytest.raises(StreamSealed):
            await store.append(tenant_id, stream, several(1), expected="any", epoch=epoch)

    assert await store.head(tenant_id, stream) == Head(version=2, epoch=1, sealed=True)


# --- what can never be stored -------------------------------------------------------------------------
async def test_a_batch_holds_at_least_one_event_and_at_most_the_bound(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    for count in (0, BATCH_EVENTS_MAX + 1):
        with pytest.raises(InvalidBatch, match=str(BATCH_EVENTS_MAX)):
            await store.append(tenant_id, stream, several(count), expected="any", epoch=0)

    assert await store.head(tenant_id, stream) is None


async def test_a_payload_is_bounded(store: EventStore, tenant_id: TenantId, stream: StreamId) -> None:
    overhead = len(canonical_bytes({"text": ""}))
    at_the_bound, above = said("x" * (PAYLOAD_BYTES_MAX - overhead)), said("x" * PAYLOAD_BYTES_MAX)

    await store.append(tenant_id, stream, [at_the_bound], expected="any", epoch=0)
    with pytest.raises(InvalidBatch, match=str(PAYLOAD_BYTES_MAX)):
        await store.append(tenant_id, stream, [said(), above], expected="any", epoch=0)

    assert await written(store, tenant_id, stream) == [at_the_bound.event_id]


async def test_a_batch_that_could_never_be_stored_is_refused(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    twice, local = said(), said().model_copy(update={"occurred_at": datetime(2026, 1, 1)})  # noqa: DTZ001

    for batch in ([twice, twice], [sealed(0), said()], [local]):
        with pytest.raises(InvalidBatch):
            await store.append(tenant_id, stream, batch, expected="any", epoch=0)
    with pytest.raises(InvalidBatch):
        await store.append(tenant_id, stream, [said()], expected="any", epoch=-1)
    with pytest.raises(InvalidBatch):
        await store.append(tenant_id, stream, [said()], expected=0, epoch=0)

    assert await store.head(tenant_id, stream) is None


async def test_the_time_of_recording_is_the_stores_own(
    store: EventStore, tenant_id: TenantId, stream: StreamId
) -> None:
    before = datetime.now(UTC)

    appended = await store.append(tenant_id, stream, several(2), expected="any", epoch=0)

    read = await store.read(tenant_id, stream)
    assert {event.recorded_at for event in read} == {appended.recorded_at}
    assert before - timedelta(seconds=1) <= appended.recorded_at <= datetime.now(UTC) + timedelta(seconds=1)
