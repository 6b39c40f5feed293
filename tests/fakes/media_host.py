"""A media host without media: places, sessions and facts as the workflow side sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from domain.errors import VivavoceError
from domain.events.catalogue import EndReason, MediaConnected
from domain.events.envelope import Actor, ActorKind, NewEvent
from domain.events.payload import Payload
from domain.ids import ConversationId, EventId, ParticipantId, WorkerId, conversation_stream
from domain.ports import Drain, Drained, EventStore, Fact, FactKind, SessionSpec


@dataclass
class FakeSession:
    """One call of `run`. `over` lets it end by itself, as after a hang-up."""

    spec: SessionSpec
    report: Callable[[Fact], None]
    drain: Drain
    over: asyncio.Event = field(default_factory=asyncio.Event)
    fail_with: VivavoceError | None = None
    silenced: bool = False
    drained: bool = False
    connections: int = 0


class FakeMediaHost:
    """`places` sessions at once. `stuck` sessions never drain; `gaps` are what a drained one reports."""

    def __init__(self, store: EventStore, *, places: int = 2) -> None:
        self._store = store
        self.worker_id = WorkerId(uuid4())
        self.address = "http://127.0.0.1:1"
        self.places = places
        self._claims: set[ConversationId] = set()
        self.sessions: list[FakeSession] = []
        self.stuck = False
        self.gaps: tuple[str, ...] = ()

    def claim(self, conversation_id: ConversationId) -> bool:
        running = {session.spec.conversation_id for session in self.sessions if not session.over.is_set()}
        taken = running | self._claims
        if conversation_id not in taken and len(taken) >= self.places:
            return False
        self._claims.add(conversation_id)
        return True

    async def run(self, spec: SessionSpec, *, drain: Drain, report: Callable[[Fact], None]) -> Drained:
        session = FakeSession(spec, report, drain)
        self.sessions.append(session)
        self._claims.discard(spec.conversation_id)
        try:
            async with asyncio.TaskGroup() as tasks:
                waits = [tasks.create_task(session.over.wait())]
                if not self.stuck:
                    waits.append(tasks.create_task(drain.wait()))
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()
        except asyncio.CancelledError:
            session.silenced = True
            raise
        finally:
            session.over.set()
        if session.fail_with is not None:
            raise session.fail_with
        session.drained = True
        head = await self._store.head(spec.tenant_id, conversation_stream(spec.conversation_id))
        assert head is not None
        return Drained(last_version=head.version, gaps=self.gaps)

    def session(self, conversation_id: ConversationId) -> FakeSession | None:
        """The newest session of a conversation."""
        mine = [one for one in self.sessions if one.spec.conversation_id == conversation_id]
        return mine[-1] if mine else None

    async def connect(self, session: FakeSession) -> None:
        """The participant's connection comes up: an event under the session's epoch, then the fact."""
        session.connections += 1
        event = await self.append(
            session,
            MediaConnected(participant_id=ParticipantId(uuid4()), connection=session.connections),
            cause=session.spec.state.assigned_event_id,
        )
        session.report(Fact(FactKind.PARTICIPANT_CONNECTED, cause=event))

    async def append(self, session: FakeSession, *payloads: Payload, cause: EventId | None = None) -> EventId:
        """Events of the session, under its epoch; the id of the last one."""
        events: list[NewEvent[Payload]] = [
            NewEvent(
                event_id=EventId(uuid4()),
                occurred_at=datetime.now(UTC),
                actor=Actor(kind=ActorKind.MEDIA_WORKER, id=str(self.worker_id)),
                payload=payload,
                causation_id=cause,
            )
            for payload in payloads
        ]
        spec = session.spec
        stream = conversation_stream(spec.conversation_id)
        await self._store.append(spec.tenant_id, stream, events, expected="any", epoch=spec.epoch)
        return events[-1].event_id

    def hang_up(self, session: FakeSession) -> None:
        session.report(Fact(FactKind.END_WANTED, EndReason.PARTICIPANT_HUNG_UP))
        session.over.set()
