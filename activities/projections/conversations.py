"""Conversations as lists show them: folded from the log when they are asked for.

Nothing is stored, so there is nothing to rebuild and nothing to be late. A conversation has a handful of
events that its status comes from, and an index holds only those.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.store.event_store import EVENT_COLUMNS, recorded_event
from activities.store.tenancy import tenant_transaction
from domain.conversation.state import Conversation, Status, evolve
from domain.errors import InvalidInput
from domain.events.catalogue import (
    ConversationEnded,
    ConversationRequested,
    ConversationSealed,
    ConversationStarted,
    EndReason,
    MediaAssigned,
    MediaLost,
)
from domain.ids import ConversationId, PersonaId, TenantId, conversation_stream

CONVERSATIONS_PAGE_MAX = 100
# A page of one status looks at most at so many pages of conversations before it hands the cursor back.
PAGES_SCANNED_MAX = 10

_PREFIX = "conversation-"
_AFTER_ALL = datetime(9999, 1, 1, tzinfo=UTC)
# The same as the predicate of the index events_lifecycle: what the status is folded from.
_LIFECYCLE = tuple(
    payload.type
    for payload in (
        ConversationRequested,
        ConversationStarted,
        ConversationEnded,
        ConversationSealed,
        MediaAssigned,
        MediaLost,
    )
)


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """Current up to `version` of the conversation's own stream."""

    conversation_id: ConversationId
    status: Status
    persona_id: PersonaId
    persona_revision: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    end_reason: EndReason | None
    version: int
    epoch: int
    sealed: ConversationSealed | None
    # Where the assigned media worker is reached; None while there is none.
    worker_address: str | None


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """Newest first. `next_cursor` is None at the end; a page may be short, even empty, before it."""

    items: tuple[ConversationSummary, ...]
    next_cursor: str | None


class InvalidCursor(InvalidInput):
    code = "invalid_cursor"


class Conversations:
    """Raises StoreUnavailable where Postgres does not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, tenant_id: TenantId, conversation_id: ConversationId) -> ConversationSummary | None:
        async with tenant_transaction(self._engine, tenant_id) as connection:
            rows = await connection.execute(
                _ONE, {"tenant_id": tenant_id, "stream_id": conversation_stream(conversation_id)}
            )
            found = await _summaries(connection, tenant_id, rows.all())
        return found[0] if found else None

    async def page(
        self,
        tenant_id: TenantId,
        *,
        limit: int = 50,
        cursor: str | None = None,
        status: Status | None = None,
    ) -> ConversationPage:
        """1 to CONVERSATIONS_PAGE_MAX conversations, exact: each stands on one page, also while new ones
        begin. Raises InvalidCursor."""
        limit = max(1, min(limit, CONVERSATIONS_PAGE_MAX))
        place = _place_of(cursor)
        items: list[ConversationSummary] = []
        async with tenant_transaction(self._engine, tenant_id) as connection:
            for _ in range(PAGES_SCANNED_MAX):
                rows = (
                    await connection.execute(
                        _page_of(status), {"tenant_id": tenant_id, "limit": limit, **place}
                    )
                ).all()
                for row, summary in zip(rows, await _summaries(connection, tenant_id, rows), strict=True):
                    place = {"before": row.created_at, "before_stream": row.stream_id}
                    if status in (None, summary.status):
                        items.append(summary)
                    if len(items) == limit:
                        return ConversationPage(tuple(items), _cursor_of(place))
                if len(rows) < limit:
                    return ConversationPage(tuple(items), None)
        return ConversationPage(tuple(items), _cursor_of(place))


async def _summaries(
    connection: AsyncConnection, tenant_id: TenantId, heads: Sequence[Row[Any]]
) -> list[ConversationSummary]:
    """One for each head, folded from the events up to the version that the head names."""
    if not heads:
        return []
    rows = await connection.execute(
        _EVENTS,
        {
            "tenant_id": tenant_id,
            "streams": [head.stream_id for head in heads],
            "versions": [head.version for head in heads],
        },
    )
    states = {head.stream_id: Conversation() for head in heads}
    ended = dict[str, datetime]()
    for row in rows.mappings():
        event = recorded_event(row)
        states[event.stream_id] = evolve(states[event.stream_id], event)
        if isinstance(event.payload, ConversationEnded):
            ended[event.stream_id] = event.occurred_at
    return [_summary(head, states[head.stream_id], ended.get(head.stream_id)) for head in heads]


def _summary(head: Row[Any], state: Conversation, ended_at: datetime | None) -> ConversationSummary:
    if state.requested is None:
        raise ValueError(f"stream {head.stream_id} does not begin with conversation.requested")
    return ConversationSummary(
        conversation_id=ConversationId(UUID(head.stream_id.removeprefix(_PREFIX))),
        status=state.status,
        persona_id=state.requested.persona_id,
        persona_revision=state.requested.persona_revision,
        created_at=head.created_at,
        started_at=state.started_at,
        ended_at=ended_at,
        end_reason=state.end_reason,
        version=head.version,
        epoch=head.epoch,
        sealed=state.sealed,
        worker_address=None if state.worker is None else state.worker.address,
    )


def _page_of(status: Status | None) -> TextClause:
    """A sealed stream is a sealed conversation, so that the other statuses look at open streams alone."""
    match status:
        case None:
            return _PAGE
        case Status.SEALED:
            return _PAGE_SEALED
        case _:
            return _PAGE_OPEN


def _cursor_of(place: dict[str, Any]) -> str:
    content = json.dumps([place["before"].isoformat(), place["before_stream"]])
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _place_of(cursor: str | None) -> dict[str, Any]:
    if cursor is None:
        return {"before": _AFTER_ALL, "before_stream": ""}
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        at, stream = json.loads(content)
        before = datetime.fromisoformat(at)
    except (ValueError, TypeError, binascii.Error) as error:
        raise InvalidCursor("this cursor is not one that was given out: begin without one") from error
    if before.tzinfo is None or not isinstance(stream, str):
        raise InvalidCursor("this cursor is not one that was given out: begin without one")
    return {"before": before, "before_stream": stream}


_ONE = text(
    """
    select stream_id, version, epoch, created_at from public.streams
     where tenant_id = :tenant_id and stream_id = :stream_id
    """
)


def _page(condition: str) -> TextClause:
    return text(
        f"""
        select stream_id, version, epoch, created_at from public.streams
         where tenant_id = :tenant_id and stream_id like 'conversation-%' and {condition}
           and (created_at, stream_id) < (:before, :before_stream)
         order by created_at desc, stream_id desc limit :limit
        """  # noqa: S608  # The conditions are constants of this module.
    )


_PAGE = _page("true")
_PAGE_SEALED = _page("sealed")
_PAGE_OPEN = _page("not sealed")
# `offset 0` keeps the planner from joining the other way round, over every event of the tenant, which it
# would while it has no statistics.
_EVENTS = text(
    f"""
    select lifecycle.*
      from unnest(cast(:streams as text[]), cast(:versions as bigint[])) as head (stream, up_to)
     cross join lateral (
           select {EVENT_COLUMNS} from public.events
            where tenant_id = :tenant_id and stream_id = head.stream and version <= head.up_to
              and type in ({", ".join(f"'{name}'" for name in _LIFECYCLE)})
            order by version offset 0
           ) lifecycle
     order by stream_id, version
    """  # noqa: S608  # Constants of this module.
)
