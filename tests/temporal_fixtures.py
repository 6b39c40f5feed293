"""A real Temporal server for the tests that ask for one, and a small world around it.

Import the fixtures into the conftest of a test package that uses them.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from activities.media_session import MediaSessionActivities, media_workers
from domain.conversation.properties import ConversationProperties
from domain.events.catalogue import ConversationRequested, ConversationSealed, EndReason
from domain.events.envelope import Actor, ActorKind, NewEvent, RecordedEvent
from domain.events.payload import Payload
from domain.ids import ConversationId, EventId, PersonaId, TenantId, conversation_stream
from domain.ports import EventStore, MediaHost
from ops.devstack.temporal import TemporalServer
from ops.processes.workflow_worker import workflow_worker
from tests.fakes.media_host import FakeMediaHost, FakeSession
from workflows.codec import encrypted_data_converter
from workflows.contracts import (
    CONVERSATION_WORKFLOW,
    MEDIA_SESSION_WORKFLOW,
    QUERY_STATUS,
    UPDATE_END,
    WORKFLOW_QUEUE,
    WORKFLOW_TASK_TIMEOUT,
    ConversationInput,
    ConversationOutcome,
    ConversationStatus,
    EndConversation,
)

PAYLOAD_KEY = bytes(range(32))
# A process that a test starts imports for as long as the machine is busy with others.
EVENTUALLY_S = 60.0
POLL_S = 0.02
REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def temporal_server() -> Iterator[TemporalServer]:
    with tempfile.TemporaryDirectory(prefix="vivavoce-temporal-") as folder:
        server = asyncio.run(TemporalServer.start(Path(folder)))
        yield server
        asyncio.run(server.stop())


@pytest.fixture
async def temporal_client(temporal_server: TemporalServer) -> Client:
    return await connect(temporal_server.address)


async def connect(address: str) -> Client:
    return await Client.connect(address, data_converter=encrypted_data_converter(PAYLOAD_KEY))


async def eventually(
    condition: Callable[[], Awaitable[object] | object], *, within_s: float = EVENTUALLY_S
) -> object:
    """The first true result of `condition`, asked again and again."""
    async with asyncio.timeout(within_s):
        while True:
            result = condition()
            if isinstance(result, Awaitable):
                result = await result
            if result:
                return result
            await asyncio.sleep(POLL_S)


@dataclass
class World:
    """One customer with a log and a Temporal server. What a test begins in it is ended with it."""

    client: Client
    store: EventStore
    tenant_id: TenantId
    begun: list[ConversationId] = field(default_factory=list)

    async def request(self, **properties: int) -> ConversationId:
        """What the API does before it starts the workflow."""
        conversation_id = ConversationId(uuid4())
        event: NewEvent[Payload] = NewEvent(
            event_id=EventId(uuid4()),
            occurred_at=datetime.now(UTC),
            actor=Actor(kind=ActorKind.SERVICE, id=str(uuid4())),
            payload=ConversationRequested(
                persona_id=PersonaId(uuid4()),
                persona_revision=1,
                policy_revision="0" * 64,
                knowledge_revision="1" * 64,
                properties=ConversationProperties.model_validate(properties),
                conversational_context="Ada Lovelace asks about her burst pipe.",
            ),
        )
        stream = conversation_stream(conversation_id)
        await self.store.append(self.tenant_id, stream, [event], expected="no_stream", epoch=0)
        self.begun.append(conversation_id)
        return conversation_id

    async def start(self, *, continue_after_messages: int = 1000, **properties: int) -> ConversationId:
        conversation_id = await self.request(**properties)
        await self.start_workflow(conversation_id, continue_after_messages=continue_after_messages)
        return conversation_id

    async def start_workflow(
        self, conversation_id: ConversationId, *, continue_after_messages: int = 1000
    ) -> None:
        await self.client.start_workflow(
            CONVERSATION_WORKFLOW,
            ConversationInput(
                tenant_id=self.tenant_id,
                conversation_id=conversation_id,
                continue_after_messages=continue_after_messages,
            ),
            id=str(conversation_id),
            task_queue=WORKFLOW_QUEUE,
            task_timeout=WORKFLOW_TASK_TIMEOUT,
        )

    def handle(self, conversation_id: ConversationId) -> WorkflowHandle[object, object]:
        return self.client.get_workflow_handle(str(conversation_id))

    async def events(self, conversation_id: ConversationId) -> list[RecordedEvent[Payload]]:
        return await self.store.read(self.tenant_id, conversation_stream(conversation_id))

    async def types(self, conversation_id: ConversationId) -> list[str]:
        return [event.payload.type for event in await self.events(conversation_id)]

    async def status(self, conversation_id: ConversationId) -> ConversationStatus:
        """Waits until the workflow has read the log."""
        handle = self.client.get_workflow_handle(str(conversation_id))
        async with asyncio.timeout(EVENTUALLY_S):
            while True:
                try:
                    status: ConversationStatus = await handle.query(
                        QUERY_STATUS, result_type=ConversationStatus
                    )
                    return status
                except WorkflowQueryFailedError:
                    await asyncio.sleep(POLL_S)

    async def end(
        self,
        conversation_id: ConversationId,
        command_id: UUID | None = None,
        reason: EndReason = EndReason.REQUESTED,
    ) -> ConversationStatus:
        status: ConversationStatus = await self.client.get_workflow_handle(
            str(conversation_id)
        ).execute_update(
            UPDATE_END,
            EndConversation(command_id=command_id or uuid4(), reason=reason),
            result_type=ConversationStatus,
        )
        return status

    async def outcome(self, conversation_id: ConversationId) -> ConversationOutcome:
        handle = self.client.get_workflow_handle(str(conversation_id), result_type=ConversationOutcome)
        async with asyncio.timeout(EVENTUALLY_S):
            outcome: ConversationOutcome = await handle.result()
            return outcome

    async def media_sessions(self, conversation_id: ConversationId) -> list[str]:
        """The ids of the media session workflows of a conversation, oldest first."""
        query = f"WorkflowType = '{MEDIA_SESSION_WORKFLOW}'"
        found = [one async for one in self.client.list_workflows(query)]
        mine = [one for one in found if one.id.startswith(str(conversation_id))]
        return [one.id for one in sorted(mine, key=lambda one: one.start_time)]

    async def live(self, host: FakeMediaHost, conversation_id: ConversationId) -> FakeSession:
        """Waits for the media session and connects the participant."""
        session = await self.session(host, conversation_id)
        await host.connect(session)
        await eventually(lambda: self._has_started(conversation_id))
        return session

    async def session(
        self, host: FakeMediaHost, conversation_id: ConversationId, *, epoch: int = 1
    ) -> FakeSession:
        def found() -> FakeSession | None:
            session = host.session(conversation_id)
            return session if session is not None and session.spec.epoch == epoch else None

        await eventually(found)
        session = found()
        assert session is not None
        return session

    async def _has_started(self, conversation_id: ConversationId) -> bool:
        return "conversation.started" in await self.types(conversation_id)

    async def leave(self) -> None:
        """Nothing of this world is left to the workers of the next one."""
        for conversation_id in self.begun:
            for epoch in range(8):
                name = str(conversation_id) if epoch == 0 else f"{conversation_id}-media-{epoch}"
                try:
                    await self.client.get_workflow_handle(name).terminate()
                except RPCError as error:
                    if error.status is not RPCStatusCode.NOT_FOUND:
                        raise
            await self._close(conversation_id)

    async def _close(self, conversation_id: ConversationId) -> None:
        """Seals what a test left open, so that no later sweep takes it up."""
        stream = conversation_stream(conversation_id)
        head = await self.store.head(self.tenant_id, stream)
        if head is None or head.sealed:
            return
        seal: NewEvent[Payload] = NewEvent(
            event_id=EventId(uuid4()),
            occurred_at=datetime.now(UTC),
            actor=Actor(kind=ActorKind.SYSTEM, id="tests"),
            payload=ConversationSealed(count=head.version, headers_sha256="", capture="incomplete"),
        )
        await self.store.append(self.tenant_id, stream, [seal], expected="any", epoch=head.epoch + 1)


@pytest.fixture
async def world(
    temporal_client: Client, event_store: EventStore, tenant_id: TenantId
) -> AsyncIterator[World]:
    world = World(temporal_client, event_store, tenant_id)
    yield world
    await world.leave()


@asynccontextmanager
async def media_process(client: Client, host: MediaHost, store: EventStore) -> AsyncIterator[None]:
    """A media worker inside the test's own process."""
    queue = f"media-{uuid4()}"
    activities = MediaSessionActivities(host, store, client, task_queue=queue)
    claims, sessions = media_workers(client, activities, task_queue=queue, sessions_max=8)
    async with sessions, claims:
        yield


@pytest.fixture
async def host(event_store: EventStore) -> FakeMediaHost:
    return FakeMediaHost(event_store, places=8)


@pytest.fixture
async def running(world: World, host: FakeMediaHost) -> AsyncIterator[World]:
    """A world with a workflow worker and one media worker, both in the test's process."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(workflow_worker(world.client, world.store))
        await stack.enter_async_context(media_process(world.client, host, world.store))
        yield world


def process_environment(
    *, database_url: str, temporal_address: str, folder: Path, **settings: object
) -> dict[str, str]:
    """What a process of the product reads, for one that a test starts."""
    values: dict[str, object] = {
        "DATABASE_URL": database_url,
        "TEMPORAL_ADDRESS": temporal_address,
        "PAYLOAD_KEY": base64.b64encode(PAYLOAD_KEY).decode(),
        "CONTROL_SECRET": "a secret of the tests",
        "MODELS_DIR": folder,
        "RECORDINGS_DIR": folder,
        **{name.upper(): value for name, value in settings.items()},
    }
    ours = {f"VIVAVOCE_{name}": str(value) for name, value in values.items()}
    return {**os.environ, **ours, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}


async def spawn(module: str, environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-m", module, env=environment, cwd=REPOSITORY)
