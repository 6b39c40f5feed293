"""Workflows, media workers and an embedder that a test can look into and steer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from uuid import UUID

import numpy as np

from activities.knowledge.embedding import DIMENSIONS, Vectors
from domain.ids import ConversationId, ParticipantId, TenantId
from domain.ports import OfferRefused
from ops.api.ports import WorkerRefused, WorkerUnavailable, WorkflowsUnavailable


class FakeRuns:
    """The `ConversationRuns` port. `down` makes it fail as an absent Temporal does."""

    def __init__(self) -> None:
        self.started: list[ConversationId] = []
        self.ended: list[ConversationId] = []
        self.asked_by: list[UUID] = []
        self.down = False

    async def start(self, tenant_id: TenantId, conversation_id: ConversationId) -> None:
        self._check()
        if conversation_id not in self.started:
            self.started.append(conversation_id)

    async def end(self, tenant_id: TenantId, conversation_id: ConversationId, *, asked_by: UUID) -> None:
        self._check()
        self.asked_by.append(asked_by)
        self.ended.append(conversation_id)

    async def ready(self) -> bool:
        return not self.down

    def _check(self) -> None:
        if self.down:
            raise WorkflowsUnavailable("Temporal did not answer in time")


class FakeMedia:
    """The `MediaControl` port: one worker, which carries the conversations in `sessions`."""

    ADDRESS = "http://worker.test:7000"

    def __init__(self) -> None:
        self.sessions: dict[ConversationId, ParticipantId | None] = {}
        self.left: list[ParticipantId] = []
        self.offers = 0
        self.down = False

    async def offer(
        self, address: str, conversation_id: ConversationId, participant_id: ParticipantId, sdp: str
    ) -> str:
        self.offers += 1
        self._check(address)
        if conversation_id not in self.sessions:
            raise WorkerRefused(OfferRefused.NO_SESSION)
        if self.sessions[conversation_id] not in (None, participant_id):
            raise WorkerRefused(OfferRefused.ANOTHER_PARTICIPANT)
        if not sdp.startswith("v=0"):
            raise WorkerRefused(OfferRefused.BAD_OFFER)
        self.sessions[conversation_id] = participant_id
        return f"v=0 answer to {participant_id}"

    async def leave(
        self, address: str, conversation_id: ConversationId, participant_id: ParticipantId
    ) -> None:
        self._check(address)
        if self.sessions.get(conversation_id) == participant_id:
            del self.sessions[conversation_id]
            self.left.append(participant_id)

    def _check(self, address: str) -> None:
        if self.down or address != self.ADDRESS:
            raise WorkerUnavailable("the media worker did not answer in time")


class FakeEmbedder:
    """Directions made of a digest: the same text is the same vector, and nothing else is close to it."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.stack([self._direction(text) for text in texts])
        vectors: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return vectors.astype(np.float32)

    def _direction(self, text: str) -> Vectors:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)
