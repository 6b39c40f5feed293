"""The event store in memory: what Postgres does, without it. Passes the same contract tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from activities.store.batch import check_batch, encode_payloads
from domain.errors import BatchOverlap, StaleEpoch, StoreUnavailable, StreamSealed, VersionConflict
from domain.events.catalogue import ConversationSealed
from domain.events.envelope import NewEvent, RecordedEvent
from domain.events.payload import Payload
from domain.events.schema import SCHEMA, Schema
from domain.ids import EventId, StreamId, TenantId
from domain.ports import EVENTS_READ_MAX, Appended, EventStore, Expected, Head


@dataclass
class _Stream:
    epoch: int = 0
    sealed: bool = False
    events: list[RecordedEvent[Payload]] = field(default_factory=list)
    versions: dict[EventId, int] = field(default_factory=dict)


class InMemoryEventStore:
    """`down` makes every call fail as when Postgres is away; nothing is stored then."""

    def __init__(
        self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC), schema: Schema = SCHEMA
    ) -> None:
        self._now, self._schema = now, schema
        self._streams: dict[tuple[TenantId, StreamId], _Stream] = {}
        self.down = False

    async def append(
        self,
        tenant_id: TenantId,
        stream_id: StreamId,
        events: Sequence[NewEvent[Payload]],
        *,
        expected: Expected,
        epoch: int,
    ) -> Appended:
        check_batch(events, expected=expected, epoch=epoch)
        encode_payloads(events, self._schema)
        self._answer()
        stream = self._streams.get((tenant_id, stream_id), _Stream())
        stored = _stored_prefix(stream, stream_id, events)
        if len(stored) == len(events):
            return _appended(stream, stored, repeated=True)
        _check_head(stream, stream_id, stored, expected, epoch)
        self._streams[tenant_id, stream_id] = stream
        stream.epoch = epoch
        recorded_at = self._now()
        for event in events[len(stored) :]:
            version = len(stream.events) + 1
            stream.events.append(
                self._record(
                    event,
                    tenant_id=tenant_id,
                    stream_id=stream_id,
                    version=version,
                    recorded_at=recorded_at,
                    epoch=epoch,
                )
            )
            stream.versions[event.event_id] = version
            stream.sealed = isinstance(event.payload, ConversationSealed)
            stored.append(version)
        return _appended(stream, stored, repeated=False)

    async def read(
        self, tenant_id: TenantId, stream_id: StreamId, *, after: int = 0, limit: int = EVENTS_READ_MAX
    ) -> list[RecordedEvent[Payload]]:
        self._answer()
        stream = self._streams.get((tenant_id, stream_id), _Stream())
        return stream.events[after : after + min(limit, EVENTS_READ_MAX)]

    async def head(self, tenant_id: TenantId, stream_id: StreamId) -> Head | None:
        self._answer()
        stream = self._streams.get((tenant_id, stream_id))
        return None if stream is None else Head(len(stream.events), stream.epoch, stream.sealed)

    def _answer(self) -> None:
        if self.down:
            raise StoreUnavailable("the store is away")

    def _record(
        self,
        event: NewEvent[Payload],
        *,
        tenant_id: TenantId,
        stream_id: StreamId,
        version: int,
        recorded_at: datetime,
        epoch: int,
    ) -> RecordedEvent[Payload]:
        payload = event.payload
        stored = self._schema.encode(payload)
        return RecordedEvent[Payload](
            event_id=event.event_id,
            occurred_at=event.occurred_at.astimezone(UTC),
            actor=event.actor,
            payload=self._schema.decode(payload.type, payload.schema_version, stored),
            causation_id=event.causation_id,
            correlation_id=event.correlation_id,
            media_ms=event.media_ms,
            tenant_id=tenant_id,
            stream_id=stream_id,
            version=version,
            recorded_at=recorded_at,
            session_epoch=epoch,
            stored_schema_version=payload.schema_version,
            payload_sha256=hashlib.sha256(stored).hexdigest(),
            stored_classification=event.classification,
        )


def _stored_prefix(stream: _Stream, stream_id: StreamId, events: Sequence[NewEvent[Payload]]) -> list[int]:
    found = [stream.versions.get(event.event_id) for event in events]
    stored = [version for version in found if version is not None]
    if found[: len(stored)] != stored or stored != sorted(stored):
        raise BatchOverlap(stream_id)
    return stored


def _check_head(
    stream: _Stream, stream_id: StreamId, stored: list[int], expected: Expected, epoch: int
) -> None:
    if stream.sealed:
        raise StreamSealed(stream_id)
    if epoch < stream.epoch:
        raise StaleEpoch(stream_id, epoch=epoch, current=stream.epoch)
    if expected == "any":
        return
    version = 0 if expected == "no_stream" else expected
    if len(stream.events) != version + len(stored) or (stored and stored[0] != version + 1):
        raise VersionConflict(stream_id, expected=version, actual=len(stream.events))


def _appended(stream: _Stream, versions: list[int], *, repeated: bool) -> Appended:
    return Appended(versions[0], versions[-1], stream.events[versions[-1] - 1].recorded_at, repeated)


class StoreBehind:
    """Another store as it is: a test overrides what it wants to happen differently."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def append(
        self,
        tenant_id: TenantId,
        stream_id: StreamId,
        events: Sequence[NewEvent[Payload]],
        *,
        expected: Expected,
        epoch: int,
    ) -> Appended:
        return await self._store.append(tenant_id, stream_id, events, expected=expected, epoch=epoch)

    async def read(
        self, tenant_id: TenantId, stream_id: StreamId, *, after: int = 0, limit: int = EVENTS_READ_MAX
    ) -> list[RecordedEvent[Payload]]:
        return await self._store.read(tenant_id, stream_id, after=after, limit=limit)

    async def head(self, tenant_id: TenantId, stream_id: StreamId) -> Head | None:
        return await self._store.head(tenant_id, stream_id)
