"""The media worker: which sessions it carries, and how many it may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from domain.ids import ConversationId, ParticipantId, WorkerId
from domain.ports import Drain, Drained, Fact, Offer, SessionSpec
from media.errors import NoPlace, NoSession
from media.parts import Parts
from media.session import Session

log = structlog.get_logger()

# A claimed place is free again when no session took it within this time.
CLAIM_S_MAX = 10.0


class MediaWorker:
    """Carries at most `sessions_max` sessions at once; a claim beyond that is refused at once, and so is a
    session that comes when its claim has passed and others have the places."""

    def __init__(self, parts: Parts, *, worker_id: WorkerId, address: str, sessions_max: int) -> None:
        self._parts = parts
        self._worker_id, self._address = worker_id, address
        self._sessions_max = sessions_max
        self._sessions: dict[ConversationId, Session] = {}
        self._claims: dict[ConversationId, float] = {}

    @property
    def worker_id(self) -> WorkerId:
        return self._worker_id

    @property
    def address(self) -> str:
        return self._address

    @property
    def sessions(self) -> int:
        """How many are carried now."""
        return len(self._sessions)

    def claim(self, conversation_id: ConversationId) -> bool:
        if not self._has_place(conversation_id):
            return False
        self._claims[conversation_id] = asyncio.get_running_loop().time() + CLAIM_S_MAX
        return True

    async def run(self, spec: SessionSpec, *, drain: Drain, report: Callable[[Fact], None]) -> Drained:
        """As the port says. Raises NoPlace when every place is taken or kept for others."""
        requested = spec.state.requested
        if requested is None:
            raise ValueError("a session needs a conversation that was requested")
        published = await self._parts.personas.load(
            spec.tenant_id, requested.persona_id, requested.persona_revision
        )
        # Nothing is awaited between this and the session's place, so that two cannot take the same one.
        if not self._has_place(spec.conversation_id):
            raise NoPlace(f"this worker carries at most {self._sessions_max} sessions; ask another one")
        session = Session(self._parts, spec, published, self._worker_id, report)
        self._claims.pop(spec.conversation_id, None)
        self._sessions[spec.conversation_id] = session
        log.info("session.started", conversation_id=str(spec.conversation_id), epoch=spec.epoch)
        try:
            return await session.run(drain)
        finally:
            # A newer epoch's session on this same worker may stand here by now.
            if self._sessions.get(spec.conversation_id) is session:
                del self._sessions[spec.conversation_id]
            log.info("session.ended", conversation_id=str(spec.conversation_id), epoch=spec.epoch)

    async def offer(self, conversation_id: ConversationId, offer: Offer) -> str:
        """The SDP answer. Raises NoSession, AnotherParticipant or BadOffer."""
        return await self._session(conversation_id).offer(offer)

    def leave(self, conversation_id: ConversationId, participant_id: ParticipantId) -> None:
        """The participant hung up. Raises NoSession or AnotherParticipant."""
        self._session(conversation_id).leave(participant_id)

    def _has_place(self, conversation_id: ConversationId) -> bool:
        """Whether the conversation has a place or can get one; claims that have passed are dropped."""
        now = asyncio.get_running_loop().time()
        self._claims = {who: until for who, until in self._claims.items() if until > now}
        others = (self._sessions.keys() | self._claims.keys()) - {conversation_id}
        return len(others) < self._sessions_max

    def _session(self, conversation_id: ConversationId) -> Session:
        session = self._sessions.get(conversation_id)
        if session is None:
            raise NoSession("this worker does not carry the conversation")
        return session
