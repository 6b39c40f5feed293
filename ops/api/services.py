"""What the routes are given: one set of implementations for a process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, cast
from uuid import UUID

from fastapi import Depends
from starlette.requests import Request

from activities.personas import PersonaPublisher, PostgresPersonaLibrary
from activities.projections.conversations import Conversations, ConversationSummary
from activities.store.access import Access
from activities.store.idempotency import IdempotencyKeys
from domain.errors import NotFound
from domain.ice import IceServer
from domain.ids import ConversationId, TenantId
from domain.ports import EventStore
from ops.api.ports import ConversationRuns, MediaControl


@dataclass(frozen=True, slots=True)
class Services:
    """A test chooses `now` and `entropy`; `public_url` has no slash at its end."""

    store: EventStore
    access: Access
    idempotency: IdempotencyKeys
    conversations: Conversations
    personas: PostgresPersonaLibrary
    publisher: PersonaPublisher
    runs: ConversationRuns
    media: MediaControl
    store_ready: Callable[[], Awaitable[bool]]
    now: Callable[[], datetime]
    entropy: Callable[[int], bytes]
    public_url: str
    # What browsers are told at join, credentials included.
    ice_servers: tuple[IceServer, ...] = ()


def services_of(request: Request) -> Services:
    return cast(Services, request.app.state.services)


ServicesOf = Annotated[Services, Depends(services_of)]


async def conversation_of(
    services: Services, tenant_id: TenantId, conversation_id: ConversationId
) -> ConversationSummary:
    """Raises NotFound, for another tenant's conversation too."""
    found = await services.conversations.get(tenant_id, conversation_id)
    if found is None:
        raise NotFound("there is no such conversation")
    return found


def random_uuid(entropy: bytes) -> UUID:
    """A UUID of version 4 of sixteen bytes: 122 random bits, which tell nothing and cannot be guessed."""
    return UUID(bytes=entropy, version=4)
