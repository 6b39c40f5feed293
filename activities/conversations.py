"""What the conversation workflow has done to the log: its own events, the seal, and reading where it stands.

Each is safe to run twice: the workflow chose the event ids, and an event is stored once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from temporalio import activity

from domain.conversation.lifecycle import (
    LoggedConversation,
)
from domain.conversation.logged import note_all
from domain.conversation.seal import Survey
from domain.errors import NotFound, StreamSealed, Unavailable, VersionConflict
from domain.events.catalogue import (
    ConversationEnded,
    ConversationStarted,
    MediaAssigned,
    MediaLost,
    MediaUnavailable,
)
from domain.events.envelope import Actor, ActorKind, NewEvent, RecordedEvent
from domain.events.payload import Payload
from domain.ids import ConversationId, EventId, StreamId, TenantId, conversation_stream
from domain.ports import EVENTS_READ_MAX, EventStore, Expected
from workflows.contracts import (
    AppendLost,
    AppendStarted,
    AppendUnavailable,
    LoadConversation,
    SealConversation,
    Sealed,
    Stored,
)

# Somebody may append between the survey and the seal, for instance a program that injects a text. That many
# times in a row means something is wrong; the workflow's own retry comes after it.
SEAL_ATTEMPTS_MAX = 20


class ConversationNotFound(NotFound):
    """The stream is not there, or it does not begin with a request."""


class ConversationActivities:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    def all(self) -> list[Callable[..., Any]]:
        """What a Temporal worker is to be given."""
        return [
            self.load_conversation,
            self.append_started,
            self.append_media_lost,
            self.append_media_unavailable,
            self.seal_conversation,
        ]

    @activity.defn
    async def load_conversation(self, request: LoadConversation) -> LoggedConversation:
        logged: LoggedConversation | None = None
        stream = conversation_stream(request.conversation_id)
        async for event in read_all(self._store, request.tenant_id, stream):
            logged = note_all(logged, [event])
        if logged is None:
            raise ConversationNotFound(f"{stream} holds no requested conversation")
        return logged

    @activity.defn
    async def append_started(self, request: AppendStarted) -> Stored:
        return await self._append_own(
            request,
            ConversationStarted(),
            await self._standing(request.tenant_id, request.conversation_id, request.cause),
        )

    @activity.defn
    async def append_media_lost(self, request: AppendLost) -> Stored:
        return await self._append_own(
            request, MediaLost(worker_id=request.worker_id, reason=request.reason), request.cause
        )

    @activity.defn
    async def append_media_unavailable(self, request: AppendUnavailable) -> Stored:
        return await self._append_own(
            request, MediaUnavailable(reason=request.reason, waited_ms=request.waited_ms), request.cause
        )

    @activity.defn
    async def seal_conversation(self, request: SealConversation) -> Sealed:
        """Raises the epoch with conversation.ended, so that no media worker writes after it, then surveys
        the whole stream and seals it at the exact version that was surveyed."""
        survey = Survey()
        await self._survey(request, survey)
        if survey.sealed is None and survey.ended is None:
            ended = _event(
                request.conversation_id,
                request.ended_event_id,
                request.occurred_at,
                ConversationEnded(reason=request.reason),
                request.cause or survey.cause_of_end(request.reason),
                asked_by=request.asked_by,
            )
            await self._append(request.tenant_id, request.conversation_id, ended, request.epoch)
        for _ in range(SEAL_ATTEMPTS_MAX):
            await self._survey(request, survey)
            if survey.sealed is not None:
                return Sealed(
                    version=survey.version,
                    count=survey.sealed.count,
                    headers_sha256=survey.sealed.headers_sha256,
                    complete=survey.sealed.capture == "complete",
                )
            await self._try_to_seal(request, survey)
        raise Unavailable("the stream grew each time that it was about to be sealed")

    async def _standing(
        self, tenant_id: TenantId, conversation_id: ConversationId, cause: EventId | None
    ) -> EventId | None:
        """`cause` where it stands in the log. A fact reaches the workflow by another way than the log, and
        may come first: then the newest assignment, which made it possible, stands for it."""
        assigned: EventId | None = None
        async for event in read_all(self._store, tenant_id, conversation_stream(conversation_id)):
            if event.event_id == cause:
                return cause
            if isinstance(event.payload, MediaAssigned):
                assigned = event.event_id
        return assigned

    async def _survey(self, request: SealConversation, survey: Survey) -> None:
        stream = conversation_stream(request.conversation_id)
        async for event in read_all(self._store, request.tenant_id, stream, after=survey.version):
            survey.take(event)

    async def _try_to_seal(self, request: SealConversation, survey: Survey) -> None:
        """Returns as well when another writer came first: then the survey goes on from where it stands."""
        seal = _event(
            request.conversation_id,
            request.sealed_event_id,
            request.occurred_at,
            survey.seal(last_version=request.last_version, reported=request.gaps),
            survey.ended,
        )
        try:
            await self._append(
                request.tenant_id, request.conversation_id, seal, request.epoch, expected=survey.version
            )
        except (VersionConflict, StreamSealed):
            return

    async def _append_own(
        self, request: AppendStarted | AppendLost | AppendUnavailable, payload: Payload, cause: EventId | None
    ) -> Stored:
        event = _event(request.conversation_id, request.event_id, request.occurred_at, payload, cause)
        return await self._append(request.tenant_id, request.conversation_id, event, request.epoch)

    async def _append(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        event: NewEvent[Payload],
        epoch: int,
        *,
        expected: Expected = "any",
    ) -> Stored:
        stream = conversation_stream(conversation_id)
        appended = await self._store.append(tenant_id, stream, [event], expected=expected, epoch=epoch)
        return Stored(version=appended.last_version)


async def read_all(
    store: EventStore, tenant_id: TenantId, stream: StreamId, *, after: int = 0
) -> AsyncIterator[RecordedEvent[Payload]]:
    """Every event with a version above `after`, page by page."""
    while True:
        page = await store.read(tenant_id, stream, after=after)
        for event in page:
            yield event
        if len(page) < EVENTS_READ_MAX:
            return
        after = page[-1].version


def _event(
    conversation_id: ConversationId,
    event_id: EventId,
    occurred_at: datetime,
    payload: Payload,
    cause: EventId | None,
    *,
    asked_by: UUID | None = None,
) -> NewEvent[Payload]:
    """The workflow's own, or that of the program whose API key has the id `asked_by`."""
    workflow = Actor(kind=ActorKind.WORKFLOW, id=str(conversation_id))
    return NewEvent(
        event_id=event_id,
        occurred_at=occurred_at,
        actor=workflow if asked_by is None else Actor(kind=ActorKind.SERVICE, id=str(asked_by)),
        payload=payload,
        causation_id=cause,
    )
