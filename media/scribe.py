"""Takes down what happens in a session, in order, while it happens.

One writer per session appends everything that waits in one statement, so that a burst costs one round trip.
Nothing on the frame path waits here: a fact is noted and the caller goes on. Only a sentence waits, until
it and the verdict that allowed it are durable.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from domain.errors import StoreUnavailable
from domain.events.envelope import Actor, NewEvent
from domain.events.payload import Payload
from domain.ids import EventId, StreamId, TenantId, TurnId, uuid7
from domain.ports import BATCH_EVENTS_MAX, EventStore
from media.errors import RecordBacklogFull

EVENTS_WAITING_MAX = 4_000
RETRY_S_MIN, RETRY_S_MAX = 0.05, 0.5


@dataclass(slots=True)
class _Entry:
    event: NewEvent[Payload]
    durable: asyncio.Future[int] | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Entered:
    """Events on their way. `durable` is done, with the version of the last one, when they are stored."""

    event_ids: tuple[EventId, ...]
    durable: asyncio.Future[int]


class Scribe:
    """Appends under one epoch. `run` is its only writer and must be running for anything to become durable.

    `now` gives wall-clock time with a zone; `noted` sees every event in its order. When EVENTS_WAITING_MAX
    events wait, `full` is called and nothing more is taken, so that what was taken has no hole: the session
    must end. From then on a commit raises RecordBacklogFull, since no sentence may be spoken.
    """

    def __init__(
        self,
        store: EventStore,
        tenant_id: TenantId,
        stream_id: StreamId,
        *,
        epoch: int,
        version: int,
        actor: Actor,
        now: Callable[[], datetime],
        noted: Callable[[NewEvent[Payload]], None],
        full: Callable[[], None],
    ) -> None:
        self._noted, self._full = noted, full
        self.refused = 0
        self._store, self._tenant_id, self._stream_id = store, tenant_id, stream_id
        self._epoch, self._version = epoch, version
        self._actor, self._now = actor, now
        self._waiting: deque[_Entry] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.store_away = False

    @property
    def last_version(self) -> int:
        """That of the last event known to be durable."""
        return self._version

    def note(
        self,
        payload: Payload,
        *,
        turn_id: TurnId | None = None,
        cause: EventId | None = None,
        media_ms: int | None = None,
        actor: Actor | None = None,
    ) -> EventId:
        """Takes a fact down without waiting. Facts become durable in the order in which they were noted."""
        event = self._event(payload, turn_id, cause, media_ms, actor)
        if self._has_room(1):
            self._take([_Entry(event)])
        return event.event_id

    async def commit(
        self,
        payloads: Sequence[Payload],
        *,
        turn_id: TurnId | None = None,
        cause: EventId | None = None,
        media_ms: int | None = None,
        actor: Actor | None = None,
    ) -> tuple[EventId, ...]:
        """Returns when these, and all that was noted before them, are durable. The first follows from
        `cause`, the others from the first: a verdict, and what it led to.

        Cancelling the wait takes nothing back: what was noted will be stored.
        """
        entered = self.enter(payloads, turn_id=turn_id, cause=cause, media_ms=media_ms, actor=actor)
        await entered.durable
        return entered.event_ids

    def enter(
        self,
        payloads: Sequence[Payload],
        *,
        turn_id: TurnId | None = None,
        cause: EventId | None = None,
        media_ms: int | None = None,
        actor: Actor | None = None,
    ) -> Entered:
        """The same without the wait. Raises RecordBacklogFull, and then nothing was taken."""
        if not self._has_room(len(payloads)):
            raise RecordBacklogFull(len(self._waiting))
        entries: list[_Entry] = []
        for payload in payloads:
            because = entries[0].event.event_id if entries else cause
            entries.append(_Entry(self._event(payload, turn_id, because, media_ms, actor)))
        entries[-1].durable = durable = asyncio.get_running_loop().create_future()
        self._take(entries)
        return Entered(tuple(entry.event.event_id for entry in entries), durable)

    async def flush(self) -> int:
        """Waits until nothing waits; returns the version of the last event."""
        await self._idle.wait()
        return self._version

    async def run(self) -> None:
        """Writes until cancelled. Raises what the store refuses: then this session is no longer the owner."""
        while True:
            await self._wake.wait()
            batch = [self._waiting[k] for k in range(min(len(self._waiting), BATCH_EVENTS_MAX))]
            version = await self._append([entry.event for entry in batch])
            self._version = version
            for entry in batch:
                self._waiting.popleft()
                if entry.durable is not None and not entry.durable.done():
                    entry.durable.set_result(version)
            if not self._waiting:
                self._wake.clear()
                self._idle.set()

    async def _append(self, events: list[NewEvent[Payload]]) -> int:
        """The same events again until the store has them: an append is idempotent by event id. The session
        that owns this scribe is what gives up, at its backlog's bound or when it is drained."""
        pause_s = RETRY_S_MIN
        while True:
            try:
                appended = await self._store.append(
                    self._tenant_id, self._stream_id, events, expected="any", epoch=self._epoch
                )
            except StoreUnavailable:
                self.store_away = True
                await asyncio.sleep(pause_s)
                pause_s = min(RETRY_S_MAX, pause_s * 2)
            else:
                self.store_away = False
                return appended.last_version

    def _has_room(self, count: int) -> bool:
        if not self.refused and len(self._waiting) + count <= EVENTS_WAITING_MAX:
            return True
        if not self.refused:
            self._full()
        self.refused += count
        return False

    def _take(self, entries: list[_Entry]) -> None:
        self._waiting.extend(entries)
        self._idle.clear()
        self._wake.set()
        for entry in entries:
            self._noted(entry.event)

    def _event(
        self,
        payload: Payload,
        turn_id: TurnId | None,
        cause: EventId | None,
        media_ms: int | None,
        actor: Actor | None,
    ) -> NewEvent[Payload]:
        now = self._now()
        return NewEvent(
            event_id=EventId(uuid7(now, secrets.token_bytes(10))),
            occurred_at=now,
            actor=actor or self._actor,
            payload=payload,
            causation_id=cause,
            correlation_id=turn_id,
            media_ms=media_ms,
        )
