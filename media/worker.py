"""The media worker: which sessions it carries, and how many it may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from domain.ids import ConversationId, ParticipantId, WorkerId
from domain.ports import Drained, Fact, Offer, SessionSpec
from media.errors import NoSession
from media.parts import Parts
from media.session import Session

log = structlog.get_logger()

# A claimed place is free again when no session took it within this time.
CLAIM_S_MAX = 10.0


class MediaWorker:
    """Carries at most `sessions_max` sessions at once; a claim beyond that is refused at once."""

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
        now = asyncio.get_running_loop().time()
        self._claims = {who: until for who, until in self._claims.items() if until > now}
        taken = self._sessions.keys() | self._claims.keys()
        if conversation_id not in taken and len(taken) >= self._sessions_max:
            return False
        self._claims[conversation_id] = now + CLAIM_S_MAX
        return True

    async def run(
        self, spec: SessionSpec, *, drain: asyncio.Event, report: Callable[[Fact], None]
    ) -> Drained:
        requested = spec.state.requested
        if requested is None:
            raise ValueError("a session needs a conversation that was requested")
        published = await self._parts.personas.load(
            spec.tenant_id, requested.persona_id, requested.persona_revision
        )
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

    def _session(self, conversation_id: ConversationId) -> Session:
        session = self._sessions.get(conversation_id)
        if session is None:
            raise NoSession("this worker does not carry the conversation")
        return session
