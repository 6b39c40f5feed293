"""Identifiers. Every one is random, so that an id never tells who or what it stands for."""

from __future__ import annotations

from datetime import datetime
from typing import NewType
from uuid import UUID

TenantId = NewType("TenantId", UUID)
ConversationId = NewType("ConversationId", UUID)
PersonaId = NewType("PersonaId", UUID)
EventId = NewType("EventId", UUID)
ParticipantId = NewType("ParticipantId", UUID)
WorkerId = NewType("WorkerId", UUID)
TurnId = NewType("TurnId", UUID)
UtteranceId = NewType("UtteranceId", UUID)
SentenceId = NewType("SentenceId", UUID)
ReplyId = NewType("ReplyId", UUID)
StreamId = NewType("StreamId", str)
# Where an event stands in the order of all: dense, from 1.
Position = NewType("Position", int)

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_RAND_A = 0xFFF << 64
_RAND_B = (1 << 62) - 1


def uuid7(now: datetime, entropy: bytes) -> UUID:
    """A UUID of version 7 (RFC 9562): 48 bits of milliseconds, then 74 of the ten bytes of entropy given."""
    if len(entropy) != 10:
        raise ValueError("a version 7 UUID takes ten bytes of entropy")
    noise = int.from_bytes(entropy, "big")
    ms = int(now.timestamp() * 1000) & ((1 << 48) - 1)
    return UUID(int=ms << 80 | _VERSION_7 | (noise & _RAND_A) | _VARIANT | (noise & _RAND_B))


def conversation_stream(conversation_id: ConversationId) -> StreamId:
    return StreamId(f"conversation-{conversation_id}")


def persona_stream(persona_id: PersonaId) -> StreamId:
    return StreamId(f"persona-{persona_id}")


def custody_stream(conversation_id: ConversationId) -> StreamId:
    """Where what happens to a record after its seal is kept."""
    return StreamId(f"custody-{conversation_id}")
