"""The API over a real Postgres, with workflows and media workers that a test steers: fixtures to import."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.personas import PersonaPublisher, PostgresPersonaLibrary
from activities.projections.conversations import Conversations
from activities.store.access import Access, new_api_key
from activities.store.event_store import PostgresEventStore
from activities.store.idempotency import IdempotencyKeys
from domain.ids import TenantId
from ops.api.app import create_app
from ops.api.services import Services
from ops.bootstrap import Addresses, ensure_api_key
from tests.fakes.api import FakeEmbedder, FakeMedia, FakeRuns
from tests.fakes.conversation_log import Log

PUBLIC_URL = "http://calls.test"
PERSONA: dict[str, Any] = {
    "name": "Ada",
    "system_prompt": "You work at the claims desk.",
    "disclosure": "You are speaking with an AI.",
    "greeting": "How can I help?",
    "documents": [{"title": "Claims guide", "text": "# Deadlines\n\nReport a burst pipe within three days."}],
}


@pytest.fixture
def runs() -> FakeRuns:
    return FakeRuns()


@pytest.fixture
def media() -> FakeMedia:
    return FakeMedia()


@pytest.fixture
async def services(
    engine: AsyncEngine, event_store: PostgresEventStore, runs: FakeRuns, media: FakeMedia
) -> AsyncIterator[Services]:
    async def store_ready() -> bool:
        return True

    with ThreadPoolExecutor(1) as embedding:
        yield Services(
            store=event_store,
            access=Access(engine),
            idempotency=IdempotencyKeys(engine),
            conversations=Conversations(engine),
            personas=PostgresPersonaLibrary(engine),
            publisher=PersonaPublisher(engine, event_store, embedder=FakeEmbedder(), executor=embedding),
            runs=runs,
            media=media,
            store_ready=store_ready,
            now=lambda: datetime.now(UTC),
            entropy=secrets.token_bytes,
            public_url=PUBLIC_URL,
        )


@pytest.fixture
async def api_key(addresses: Addresses, tenant_id: TenantId) -> str:
    key = new_api_key()
    await ensure_api_key(addresses.admin_url, tenant_id, key=key, name="a program of the tests")
    return key


@pytest.fixture
async def anyone(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """Without a key. An error that no handler knows is an answer here too, as behind a real server."""
    transport = httpx.ASGITransport(create_app(services), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        yield client


@pytest.fixture
async def program(services: Services, api_key: str) -> AsyncIterator[httpx.AsyncClient]:
    """With the tenant's key."""
    transport = httpx.ASGITransport(create_app(services), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {api_key}"}
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL, headers=headers) as client:
        yield client


@pytest.fixture
async def persona_id(program: httpx.AsyncClient) -> UUID:
    return UUID((await program.post("/v1/personas", json=PERSONA)).json()["persona_id"])


@pytest.fixture
async def conversation(program: httpx.AsyncClient, persona_id: UUID) -> dict[str, Any]:
    """As it was created."""
    created: dict[str, Any] = (
        await program.post("/v1/conversations", json={"persona_id": str(persona_id)})
    ).json()
    return created


@pytest.fixture
def conversation_log(event_store: PostgresEventStore, tenant_id: TenantId) -> Log:
    return Log(event_store, tenant_id)
