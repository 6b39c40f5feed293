"""A media session with a real caller: real models, real WebRTC; the answer is scripted."""

from __future__ import annotations

import asyncio
import fractions
import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from domain.conversation.properties import ConversationProperties
from domain.conversation.state import fold
from domain.errors import StoreUnavailable
from domain.events.catalogue import ConversationRequested, MediaAssigned, SentenceCommitted
from domain.events.envelope import Actor, ActorKind, NewEvent, RecordedEvent
from domain.events.payload import Payload
from domain.ids import (
    ConversationId,
    EventId,
    ParticipantId,
    PersonaId,
    StreamId,
    TenantId,
    WorkerId,
    conversation_stream,
)
from domain.mind.persona import Persona, PublishedPersona
from domain.mind.prompt import Prompt
from domain.ports import (
    Answerer,
    Appended,
    Drain,
    Drained,
    EventStore,
    Expected,
    Fact,
    Head,
    Offer,
    Retrieval,
    Retriever,
    SessionSpec,
)
from media.dialogue import Dialogue
from media.hearing.ear import HearingModels
from media.hearing.threads import HearingThreads
from media.models import ModelName, locate
from media.parts import Parts, Threads
from media.session import Session
from media.speaking.face import FaceRenderer
from media.speaking.tts import HibariSynthesiser
from media.studio import Studio
from media.worker import MediaWorker

MODELS_DIR = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vivavoce" / "models"
FRAME = 960
RATE = 48_000


@dataclass
class ScriptedAnswerer:
    """Says its lines in turn, whatever is asked, and keeps the prompts."""

    lines: list[str]
    prompts: list[Prompt] = field(default_factory=list)
    name: str = "scripted"

    async def answer(self, prompt: Prompt) -> AsyncIterator[str]:
        self.prompts.append(prompt)
        line = self.lines[min(len(self.prompts), len(self.lines)) - 1]
        for word in line.split(" "):
            yield f"{word} "


class EmptyLibrary:
    """Documents that hold nothing."""

    async def retrieve(
        self, tenant_id: TenantId, knowledge_revision: str, question: str, *, limit: int
    ) -> Retrieval:
        return Retrieval((), 0.1)


@dataclass
class OnePersona:
    published: PublishedPersona

    async def load(self, tenant_id: TenantId, persona_id: PersonaId, revision: int) -> PublishedPersona:
        return self.published


def persona(**changes: Any) -> PublishedPersona:
    document = Persona.model_validate(
        {
            "name": "Test desk",
            "system_prompt": "You answer questions about claims.",
            "disclosure": "You are speaking with an AI.",
            "greeting": "Hello, how can I help?",
            **changes,
        }
    )
    return PublishedPersona(
        persona_id=PersonaId(uuid4()),
        revision=1,
        persona=document,
        policy_revision=document.policy_revision,
        knowledge_revision=document.knowledge_revision,
    )


class Models:
    """Loaded once for a test run: they take seconds."""

    def __init__(self) -> None:
        self.hearing = HearingModels.load(MODELS_DIR)
        self.synthesiser = HibariSynthesiser(locate(MODELS_DIR, ModelName.HIBARI))
        self.synthesiser.warm_up()
        self.renderer = FaceRenderer(device="cpu")


class Voice(MediaStreamTrack):
    """What the caller says: frames in real time, silence where there are none."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._samples = np.zeros(0, np.int16)
        self._pts = 0
        self._due_s: float | None = None
        self.spoken = asyncio.Event()

    def say(self, samples: np.ndarray) -> None:
        self._samples = np.concatenate([self._samples, samples])
        self.spoken.clear()

    async def recv(self) -> av.AudioFrame:
        loop = asyncio.get_running_loop()
        self._due_s = self._due_s or loop.time()
        await asyncio.sleep(max(0.0, self._due_s - loop.time()))
        self._due_s += FRAME / RATE
        now, self._samples = self._samples[:FRAME], self._samples[FRAME:]
        if not len(self._samples):
            self.spoken.set()
        now = np.pad(now, (0, FRAME - len(now)))
        frame = av.AudioFrame.from_ndarray(now.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self._pts
        frame.time_base = fractions.Fraction(1, RATE)
        self._pts += FRAME
        return frame


class Caller:
    """A person's browser: speaks, hears, sees, and reads the page's messages."""

    def __init__(self) -> None:
        self.voice = Voice()
        self.heard: list[tuple[float, np.ndarray]] = []
        self.pictures_at: list[float] = []
        self.messages: list[dict[str, Any]] = []
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connected = asyncio.Event()
        self._open = asyncio.Event()
        self._changed = asyncio.Event()
        self._readers: list[asyncio.Task[None]] = []

    async def call(self, offer: Callable[[str], Any]) -> None:
        connection = self.connection
        connection.addTrack(self.voice)
        connection.addTransceiver("video", direction="recvonly")
        self.channel = connection.createDataChannel("vivavoce")
        self.channel.on("message", self._on_message)
        self.channel.on("open", self._open.set)
        connection.on("track", self._on_track)
        connection.on("connectionstatechange", self._on_state)
        await connection.setLocalDescription(await connection.createOffer())
        answer = await offer(connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(10):
            await self._connected.wait()
            await self._open.wait()
        self._readers.append(asyncio.ensure_future(self._beat()))

    async def until(self, true: Callable[[], bool], seconds: float = 15) -> None:
        """Waits for something that a message, a frame, a picture or a reported fact brings about."""
        async with asyncio.timeout(seconds):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    def changed(self) -> None:
        self._changed.set()

    def states(self) -> list[str]:
        return [message["state"] for message in self.messages if message["type"] == "state"]

    def captions(self) -> list[str]:
        return [message["text"] for message in self.messages if message["type"] == "caption"]

    def loud_since(self, at_s: float) -> list[float]:
        return [t for t, frame in self.heard if t >= at_s and np.abs(frame.astype(np.int32)).max() > 300]

    def tell(self, message: dict[str, Any]) -> None:
        self.channel.send(json.dumps(message))

    def freeze(self) -> None:
        """Sends nothing more, and says no goodbye."""
        for reader in self._readers:
            reader.cancel()
        for sender in self.connection.getSenders():
            sender.replaceTrack(None)

    async def close(self) -> None:
        for reader in self._readers:
            reader.cancel()
        await self.connection.close()

    def _on_message(self, raw: str) -> None:
        self.messages.append(json.loads(raw))
        self._changed.set()

    def _on_state(self) -> None:
        if self.connection.connectionState == "connected":
            self._connected.set()

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._readers.append(asyncio.ensure_future(self._take(track)))

    async def _take(self, track: MediaStreamTrack) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if track.kind == "audio":
                self.heard.append((loop.time(), cast(av.AudioFrame, frame).to_ndarray()[0]))
            else:
                self.pictures_at.append(loop.time())
            self._changed.set()

    async def _beat(self) -> None:
        while True:
            if self.channel.readyState == "open":
                self.tell({"type": "heartbeat"})
            await asyncio.sleep(1)


class Breakable:
    """A store in front of the real one that can be taken away; remembers when each sentence was durable."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.away = False
        self.durable_s: dict[str, float] = {}

    async def append(
        self,
        tenant_id: TenantId,
        stream_id: StreamId,
        events: Sequence[NewEvent[Payload]],
        *,
        expected: Expected,
        epoch: int,
    ) -> Appended:
        if self.away:
            raise StoreUnavailable("taken away")
        stored = await self._store.append(tenant_id, stream_id, events, expected=expected, epoch=epoch)
        for event in events:
            if isinstance(event.payload, SentenceCommitted):
                self.durable_s[event.payload.text] = asyncio.get_running_loop().time()
        return stored

    async def read(self, tenant_id: TenantId, stream_id: StreamId, *, after: int = 0, limit: int = 500):  # type: ignore[no-untyped-def]  # passes through
        return await self._store.read(tenant_id, stream_id, after=after, limit=limit)

    async def head(self, tenant_id: TenantId, stream_id: StreamId) -> Head | None:
        return await self._store.head(tenant_id, stream_id)


async def offer_of() -> str:
    """An offer that nobody will follow up."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("audio")
    connection.addTransceiver("video", direction="recvonly")
    connection.createDataChannel("vivavoce")
    await connection.setLocalDescription(await connection.createOffer())
    sdp = connection.localDescription.sdp
    await connection.close()
    return str(sdp)


@dataclass
class Call:
    """A session that runs, and who calls it."""

    worker: MediaWorker
    caller: Caller
    store: EventStore
    tenant_id: TenantId
    conversation_id: ConversationId
    participant_id: ParticipantId
    answerer: ScriptedAnswerer
    facts: list[Fact]
    drain: Drain
    session: asyncio.Task[Drained]

    async def join(self, caller: Caller | None = None) -> None:
        async def offer(sdp: str) -> str:
            return await self.worker.offer(self.conversation_id, Offer(self.participant_id, sdp))

        await (caller or self.caller).call(offer)

    def live(self) -> Session:
        """For what no caller can bring about at the right moment."""
        return self.worker._sessions[self.conversation_id]

    def dialogue(self) -> Dialogue:
        return self.live()._dialogue

    async def end(self) -> Drained:
        self.drain.set()
        async with asyncio.timeout(15):
            return await self.session

    async def events(self) -> list[RecordedEvent[Payload]]:
        return await self.store.read(self.tenant_id, conversation_stream(self.conversation_id))

    async def of(self, kind: type[Payload]) -> list[Any]:
        return [event.payload for event in await self.events() if isinstance(event.payload, kind)]


def new_event(payload: Payload, *, cause: EventId | None = None) -> NewEvent[Payload]:
    return NewEvent(
        event_id=EventId(uuid4()),
        occurred_at=datetime.now(UTC),
        actor=Actor(kind=ActorKind.SERVICE, id="tests"),
        payload=payload,
        causation_id=cause,
    )


async def assigned_call(
    store: EventStore,
    spec: tuple[TenantId, ConversationId],
    requested: ConversationRequested,
    worker: MediaWorker,
) -> SessionSpec:
    """The events that stand before a session begins, and what it is given."""
    tenant_id, conversation_id = spec
    stream = conversation_stream(conversation_id)
    first = new_event(requested)
    await store.append(tenant_id, stream, [first], expected="no_stream", epoch=0)
    assigned = MediaAssigned(worker_id=worker.worker_id, address=worker.address)
    follows = new_event(assigned, cause=first.event_id)
    await store.append(tenant_id, stream, [follows], expected="any", epoch=1)
    return SessionSpec(tenant_id, conversation_id, 1, fold(await store.read(tenant_id, stream)))


@asynccontextmanager
async def live_call(
    models: Models,
    store: EventStore,
    tenant_id: TenantId,
    recordings: Path,
    *,
    lines: Sequence[str] = ("Your claim is handled within five days.",),
    published: PublishedPersona | None = None,
    properties: ConversationProperties | None = None,
    answerer: Answerer | None = None,
    retriever: Retriever | None = None,
) -> AsyncIterator[Call]:
    published = published or persona()
    scripted = ScriptedAnswerer(list(lines))
    pools = [ThreadPoolExecutor(1) for _ in range(4)]
    studio = Studio(models.renderer, pools[0])
    parts = Parts(
        store=store,
        personas=OnePersona(published),
        retriever=retriever or EmptyLibrary(),
        answerer=answerer or scripted,
        synthesiser=models.synthesiser,
        hearing=models.hearing,
        studio=studio,
        threads=Threads(HearingThreads(pools[1], pools[2]), pools[3]),
        recordings=recordings,
        now=lambda: datetime.now(UTC),
    )
    worker = MediaWorker(parts, worker_id=WorkerId(uuid4()), address="http://127.0.0.1:1", sessions_max=2)
    requested = ConversationRequested(
        persona_id=published.persona_id,
        persona_revision=1,
        policy_revision=published.policy_revision,
        knowledge_revision=published.knowledge_revision,
        properties=properties or ConversationProperties(),
    )
    conversation_id = ConversationId(uuid4())
    spec = await assigned_call(store, (tenant_id, conversation_id), requested, worker)
    drain, facts, caller = Drain(), list[Fact](), Caller()
    drawing = asyncio.ensure_future(studio.run())

    def report(fact: Fact) -> None:
        facts.append(fact)
        caller.changed()

    session = asyncio.ensure_future(worker.run(spec, drain=drain, report=report))
    participant_id = ParticipantId(uuid4())
    await worker_carries(worker)
    try:
        yield Call(
            worker, caller, store, tenant_id, conversation_id, participant_id, scripted, facts, drain, session
        )
    finally:
        await caller.close()
        drain.set()
        await asyncio.wait({session}, timeout=10)
        drawing.cancel()
        for pool in pools:
            pool.shutdown(wait=False)


async def worker_carries(worker: MediaWorker) -> None:
    async with asyncio.timeout(5):
        while not worker.sessions:  # noqa: ASYNC110 - the worker has no event for it
            await asyncio.sleep(0.01)
