"""Creating, reading and ending conversations, and their events."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

import structlog
from fastapi import APIRouter, Header, Query

from activities.projections.conversations import ConversationSummary
from activities.store.access import ApiCaller
from activities.store.idempotency import Claim, IdempotencyKeyReused
from domain.conversation.state import Status
from domain.errors import NotFound
from domain.events.canonical import canonical_bytes
from domain.events.catalogue import ConversationRequested
from domain.events.envelope import Actor, ActorKind, NewEvent
from domain.events.payload import Payload
from domain.ids import ConversationId, EventId, conversation_stream, uuid7
from domain.mind.persona import PublishedPersona
from ops.api.auth import CallerOf
from ops.api.models import (
    IDEMPOTENCY_KEY_CHARS_MAX,
    ConversationPage,
    ConversationQuery,
    ConversationView,
    CreateConversation,
    CreatedConversation,
    Ending,
    EventPage,
    EventQuery,
    JoinTokenView,
    SealView,
)
from ops.api.ports import WorkflowsUnavailable
from ops.api.problem import ApiProblem, problems, sentence_of
from ops.api.services import Services, ServicesOf, conversation_of, random_uuid
from ops.event_view import EventView

log = structlog.stdlib.get_logger("vivavoce.api")

router = APIRouter(prefix="/v1/conversations", tags=["conversations"])

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=IDEMPOTENCY_KEY_CHARS_MAX,
        description="The same key with the same body names the same conversation.",
    ),
]
_OVER = (Status.WRAPPING_UP, Status.SEALED)


@router.post("", status_code=201, responses=problems(401, 404, 413, 422, 503))
async def create_conversation(
    body: CreateConversation,
    caller: CallerOf,
    services: ServicesOf,
    idempotency_key: IdempotencyKey = None,
) -> CreatedConversation:
    """Requests a conversation under one pinned revision of a persona, and gives a token to join it with."""
    persona = await _persona(services, caller, body)
    claim = await _claim(services, caller, body, idempotency_key)
    await _request(services, caller, claim, body, persona)
    try:
        await services.runs.start(caller.tenant_id, claim.conversation_id)
    except WorkflowsUnavailable:
        # The event is the record of the request; the sweep begins its workflow.
        log.warning("conversation.start_deferred", conversation_id=str(claim.conversation_id))
    token = await services.access.issue_join_token(caller.tenant_id, claim.conversation_id)
    summary = await conversation_of(services, caller.tenant_id, claim.conversation_id)
    link = urlencode({"conversation": str(claim.conversation_id), "token": token.token})
    return CreatedConversation(
        conversation_id=claim.conversation_id,
        status=summary.status,
        persona_id=summary.persona_id,
        persona_revision=summary.persona_revision,
        created_at=summary.created_at,
        join_token=token.token,
        join_token_expires_at=token.expires_at,
        conversation_url=f"{services.public_url}/#{link}",
    )


@router.get("", responses=problems(401, 422, 503))
async def list_conversations(
    query: Annotated[ConversationQuery, Query()], caller: CallerOf, services: ServicesOf
) -> ConversationPage:
    """Newest first."""
    page = await services.conversations.page(
        caller.tenant_id, limit=query.limit, cursor=query.cursor, status=query.status
    )
    return ConversationPage(conversations=[_view(each) for each in page.items], next_cursor=page.next_cursor)


@router.get("/{conversation_id}", responses=problems(401, 404, 422, 503))
async def get_conversation(
    conversation_id: ConversationId, caller: CallerOf, services: ServicesOf
) -> ConversationView:
    return _view(await conversation_of(services, caller.tenant_id, conversation_id))


@router.get("/{conversation_id}/events", responses=problems(401, 404, 422, 503))
async def list_events(
    conversation_id: ConversationId,
    query: Annotated[EventQuery, Query()],
    caller: CallerOf,
    services: ServicesOf,
) -> EventPage:
    """In the order of the log. Give `next_after` back as `after`."""
    stream = conversation_stream(conversation_id)
    events = await services.store.read(caller.tenant_id, stream, after=query.after, limit=query.limit)
    if not events and await services.store.head(caller.tenant_id, stream) is None:
        raise NotFound("there is no such conversation")
    return EventPage(
        events=[EventView.of(event) for event in events],
        next_after=events[-1].version if events else query.after,
    )


@router.post("/{conversation_id}/end", status_code=202, responses=problems(401, 404, 422, 503))
async def end_conversation(conversation_id: ConversationId, caller: CallerOf, services: ServicesOf) -> Ending:
    """Begins the end; the seal follows. Ending again changes nothing."""
    summary = await conversation_of(services, caller.tenant_id, conversation_id)
    if summary.status not in _OVER:
        await services.runs.end(caller.tenant_id, conversation_id, asked_by=caller.key_id)
        summary = await conversation_of(services, caller.tenant_id, conversation_id)
    return Ending(conversation_id=conversation_id, status=summary.status)


@router.post("/{conversation_id}/join-tokens", status_code=201, responses=problems(401, 404, 409, 422, 503))
async def create_join_token(
    conversation_id: ConversationId, caller: CallerOf, services: ServicesOf
) -> JoinTokenView:
    """Another token, for a participant whose first one was not used in time."""
    summary = await conversation_of(services, caller.tenant_id, conversation_id)
    if summary.status in _OVER:
        raise ApiProblem(
            HTTPStatus.CONFLICT,
            "conversation_ended",
            "This conversation has ended; nobody can join it any more.",
        )
    token = await services.access.issue_join_token(caller.tenant_id, conversation_id)
    return JoinTokenView(join_token=token.token, expires_at=token.expires_at)


async def _persona(services: Services, caller: ApiCaller, body: CreateConversation) -> PublishedPersona:
    if body.persona_revision is None:
        return await services.personas.latest(caller.tenant_id, body.persona_id)
    return await services.personas.load(caller.tenant_id, body.persona_id, body.persona_revision)


async def _claim(
    services: Services, caller: ApiCaller, body: CreateConversation, idempotency_key: str | None
) -> Claim:
    conversation_id = ConversationId(random_uuid(services.entropy(16)))
    event_id = EventId(uuid7(services.now(), services.entropy(10)))
    if idempotency_key is None:
        return Claim(conversation_id, event_id, fresh=True)
    sent = hashlib.sha256(canonical_bytes(body.model_dump(mode="json"))).digest()
    try:
        return await services.idempotency.claim(
            caller.tenant_id,
            idempotency_key,
            request_sha256=sent,
            conversation_id=conversation_id,
            event_id=event_id,
        )
    except IdempotencyKeyReused as error:
        raise ApiProblem(HTTPStatus.UNPROCESSABLE_ENTITY, error.code, sentence_of(error)) from None


async def _request(
    services: Services, caller: ApiCaller, claim: Claim, body: CreateConversation, persona: PublishedPersona
) -> None:
    event = NewEvent[Payload](
        event_id=claim.event_id,
        occurred_at=services.now(),
        actor=Actor(kind=ActorKind.SERVICE, id=str(caller.key_id)),
        payload=ConversationRequested(
            persona_id=persona.persona_id,
            persona_revision=persona.revision,
            policy_revision=persona.policy_revision,
            knowledge_revision=persona.knowledge_revision,
            properties=body.properties,
            conversational_context=body.conversational_context,
            custom_greeting=body.custom_greeting,
        ),
    )
    stream = conversation_stream(claim.conversation_id)
    await services.store.append(caller.tenant_id, stream, [event], expected="no_stream", epoch=0)


def _view(summary: ConversationSummary) -> ConversationView:
    seal = summary.sealed
    return ConversationView(
        conversation_id=summary.conversation_id,
        status=summary.status,
        persona_id=summary.persona_id,
        persona_revision=summary.persona_revision,
        created_at=summary.created_at,
        started_at=summary.started_at,
        ended_at=summary.ended_at,
        end_reason=summary.end_reason,
        version=summary.version,
        epoch=summary.epoch,
        sealed=None
        if seal is None
        else SealView(
            count=seal.count,
            headers_sha256=seal.headers_sha256,
            capture=seal.capture,
            gaps=list(seal.gaps),
        ),
    )
