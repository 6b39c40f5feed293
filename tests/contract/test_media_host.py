"""What the workflow side relies on in a process that carries sessions. Each test runs against the real media
worker, with its models, and against the host without media that the workflow tests use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from domain.conversation.properties import ConversationProperties
from domain.conversation.state import fold
from domain.events.catalogue import ConversationRequested, MediaAssigned
from domain.ids import ConversationId, TenantId, WorkerId, conversation_stream
from domain.ports import SESSION_DRAIN_S_MAX, Drain, Drained, EventStore, Fact, MediaHost, SessionSpec
from media.hearing.threads import HearingThreads
from media.parts import Parts, Threads
from media.studio import Studio
from media.worker import MediaWorker
from tests.fakes.event_store import InMemoryEventStore
from tests.fakes.media_host import FakeMediaHost
from tests.media.session.conftest import models
from tests.media.session.rig import (
    EmptyLibrary,
    Models,
    OnePersona,
    ScriptedAnswerer,
    new_event,
    persona,
)

__all__ = ["models"]

PLACES = 2
PERSONA = persona()
TENANT = TenantId(uuid4())


@pytest.fixture
def store() -> InMemoryEventStore:
    return InMemoryEventStore()


@pytest.fixture(params=["worker", "fake"])
async def host(
    request: pytest.FixtureRequest, store: InMemoryEventStore, tmp_path: Path
) -> AsyncIterator[MediaHost]:
    if request.param == "fake":
        yield FakeMediaHost(store, places=PLACES)
        return
    models: Models = request.getfixturevalue("models")
    pools = [ThreadPoolExecutor(1) for _ in range(4)]
    studio = Studio(models.renderer, pools[0])
    parts = Parts(
        store=store,
        personas=OnePersona(PERSONA),
        retriever=EmptyLibrary(),
        answerer=ScriptedAnswerer(["Yes."]),
        synthesiser=models.synthesiser,
        hearing=models.hearing,
        studio=studio,
        threads=Threads(HearingThreads(pools[1], pools[2]), pools[3]),
        recordings=tmp_path,
        now=lambda: datetime.now(UTC),
    )
    async with asyncio.TaskGroup() as tasks:
        drawing = tasks.create_task(studio.run())
        yield MediaWorker(
            parts, worker_id=WorkerId(uuid4()), address="http://127.0.0.1:1", sessions_max=PLACES
        )
        drawing.cancel()
    for pool in pools:
        pool.shutdown()


async def assigned(host: MediaHost, store: EventStore) -> SessionSpec:
    """A conversation whose media.assigned names the host."""
    stream = conversation_stream(conversation_id := ConversationId(uuid4()))
    requested = ConversationRequested(
        persona_id=PERSONA.persona_id,
        persona_revision=1,
        policy_revision=PERSONA.policy_revision,
        knowledge_revision=PERSONA.knowledge_revision,
        properties=ConversationProperties(),
    )
    await store.append(TENANT, stream, [new_event(requested)], expected="no_stream", epoch=0)
    taken = MediaAssigned(worker_id=host.worker_id, address=host.address)
    await store.append(TENANT, stream, [new_event(taken)], expected="any", epoch=1)
    return SessionSpec(TENANT, conversation_id, 1, fold(await store.read(TENANT, stream)))


def ignore(_fact: Fact) -> None:
    """Nobody connects in these tests."""


async def test_places_are_kept_for_claims_and_no_more_than_there_are(host: MediaHost) -> None:
    first, second, third = (ConversationId(uuid4()) for _ in range(3))

    assert [host.claim(first), host.claim(first), host.claim(second)] == [True, True, True]
    assert not host.claim(third)


async def test_a_session_lasts_until_it_is_to_drain_and_says_how_far_it_wrote(
    host: MediaHost, store: InMemoryEventStore
) -> None:
    spec, drain = await assigned(host, store), Drain()
    assert host.claim(spec.conversation_id)
    async with asyncio.TaskGroup() as tasks:
        session = tasks.create_task(host.run(spec, drain=drain, report=ignore))
        done, _ = await asyncio.wait({session}, timeout=0.3)
        assert not done
        drain.set()
        async with asyncio.timeout(SESSION_DRAIN_S_MAX):
            drained = await session

    head = await store.head(TENANT, conversation_stream(spec.conversation_id))
    assert head is not None
    assert drained == Drained(last_version=head.version)


async def test_a_cancelled_session_ends_at_once_and_gives_its_place_back(
    host: MediaHost, store: InMemoryEventStore
) -> None:
    specs = [await assigned(host, store) for _ in range(PLACES)]
    another = ConversationId(uuid4())
    async with asyncio.TaskGroup() as tasks:
        sessions = []
        for spec in specs:
            assert host.claim(spec.conversation_id)
            running = host.run(spec, drain=Drain(), report=ignore)
            sessions.append(tasks.create_task(running))
        await asyncio.wait(sessions, timeout=0.3)
        assert not host.claim(another)

        sessions[0].cancel()
        done, _ = await asyncio.wait(sessions, timeout=2, return_when=asyncio.FIRST_COMPLETED)

        assert done == {sessions[0]}
        assert sessions[0].cancelled()
        assert host.claim(another)
        sessions[1].cancel()
