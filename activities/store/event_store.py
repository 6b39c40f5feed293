"""The log in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.batch import check_batch, encode_payloads
from activities.store.failures import store_failures
from activities.store.tenancy import tenant_transaction
from domain.errors import BatchOverlap, StaleEpoch, StreamSealed, VersionConflict
from domain.events.envelope import Actor, ActorKind, Classification, NewEvent, RecordedEvent
from domain.events.payload import Payload
from domain.events.schema import SCHEMA, Schema
from domain.ids import EventId, StreamId, TenantId, TurnId
from domain.ports import EVENTS_READ_MAX, Appended, Expected, Head

_APPEND = """
    select outcome, first_version, last_version, recorded_at, head_version, head_epoch
      from public.append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
"""

EVENT_COLUMNS = """tenant_id, stream_id, version, event_id, type, schema_version, occurred_at, recorded_at,
    media_ms, actor_kind, actor_id, causation_id, correlation_id, session_epoch, classification, payload,
    payload_sha256"""

_READ = text(
    f"""
    select {EVENT_COLUMNS} from public.events
     where tenant_id = :tenant_id and stream_id = :stream_id and version > :after
     order by version limit :limit
    """  # noqa: S608  # A constant of this module.
)

_HEAD = text(
    "select version, epoch, sealed from public.streams"
    " where tenant_id = :tenant_id and stream_id = :stream_id"
)


class PostgresEventStore:
    """The `EventStore` port. Holds no state but the engine's pool; safe to share between tasks."""

    def __init__(self, engine: AsyncEngine, *, schema: Schema = SCHEMA) -> None:
        self._engine, self._schema = engine, schema
        # One statement in a transaction of its own: no round trip to begin it, none to commit it.
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")

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
        version = {"any": None, "no_stream": 0}[expected] if isinstance(expected, str) else expected
        parameters = (tenant_id, stream_id, version, epoch, *self._columns(events))
        with store_failures():
            async with self._single.connect() as connection:
                row = (await connection.exec_driver_sql(_APPEND, parameters)).one()
        match row.outcome:
            case "appended" | "repeated":
                return Appended(
                    row.first_version, row.last_version, row.recorded_at, row.outcome == "repeated"
                )
            case "overlap":
                raise BatchOverlap(stream_id)
            case "sealed":
                raise StreamSealed(stream_id)
            case "stale_epoch":
                raise StaleEpoch(stream_id, epoch=epoch, current=row.head_epoch)
            case "conflict":
                raise VersionConflict(stream_id, expected=version or 0, actual=row.head_version)
            case outcome:
                raise RuntimeError(f"append_events answered {outcome!r}, which this release does not know")

    async def read(
        self, tenant_id: TenantId, stream_id: StreamId, *, after: int = 0, limit: int = EVENTS_READ_MAX
    ) -> list[RecordedEvent[Payload]]:
        async with tenant_transaction(self._engine, tenant_id) as connection:
            rows = await connection.execute(
                _READ,
                {
                    "tenant_id": tenant_id,
                    "stream_id": stream_id,
                    "after": after,
                    "limit": min(limit, EVENTS_READ_MAX),
                },
            )
            return [recorded_event(row, self._schema) for row in rows.mappings()]

    async def head(self, tenant_id: TenantId, stream_id: StreamId) -> Head | None:
        async with tenant_transaction(self._engine, tenant_id) as connection:
            found = await connection.execute(_HEAD, {"tenant_id": tenant_id, "stream_id": stream_id})
            row = found.one_or_none()
        return None if row is None else Head(row.version, row.epoch, row.sealed)

    def _columns(self, events: Sequence[NewEvent[Payload]]) -> tuple[list[Any], ...]:
        """One list for each array that append_events takes, in its order."""
        return (
            [event.event_id for event in events],
            [event.payload.type for event in events],
            [event.payload.schema_version for event in events],
            [event.occurred_at for event in events],
            [event.media_ms for event in events],
            [event.actor.kind.value for event in events],
            [event.actor.id for event in events],
            [event.causation_id for event in events],
            [event.correlation_id for event in events],
            [event.classification.value for event in events],
            encode_payloads(events, self._schema),
        )


def recorded_event(row: RowMapping, schema: Schema = SCHEMA) -> RecordedEvent[Payload]:
    """From a row of EVENT_COLUMNS. Raises UnknownEventType for one of another release."""

    def uuid_of(column: str) -> UUID | None:
        value: UUID | None = row[column]
        return value

    causation, correlation = uuid_of("causation_id"), uuid_of("correlation_id")
    return RecordedEvent[Payload].model_construct(
        tenant_id=TenantId(row["tenant_id"]),
        stream_id=StreamId(row["stream_id"]),
        version=row["version"],
        event_id=EventId(row["event_id"]),
        occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        media_ms=row["media_ms"],
        actor=Actor(kind=ActorKind(row["actor_kind"]), id=row["actor_id"]),
        causation_id=None if causation is None else EventId(causation),
        correlation_id=None if correlation is None else TurnId(correlation),
        session_epoch=row["session_epoch"],
        payload=schema.decode(row["type"], row["schema_version"], row["payload"]),
        stored_schema_version=row["schema_version"],
        payload_sha256=row["payload_sha256"].hex(),
        stored_classification=Classification(row["classification"]),
    )
