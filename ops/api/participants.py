"""What the browser of a participant calls: join, offer, leave."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from fastapi import APIRouter

from activities.projections.conversations import ConversationSummary
from activities.store.access import JoinTokenExpired, JoinTokenUnknown
from domain.conversation.state import Status
from domain.ids import ConversationId, ParticipantId, TenantId
from domain.ports import OfferRefused
from ops.api.auth import ParticipantOf
from ops.api.models import AnswerBody, IceServerView, Join, Joined, Leaving, OfferBody
from ops.api.ports import WorkerRefused, WorkerUnavailable
from ops.api.problem import RETRY_AFTER_S, ApiProblem, problems, sentence_of
from ops.api.services import Services, ServicesOf, conversation_of, random_uuid

log = structlog.stdlib.get_logger("vivavoce.api")

router = APIRouter(prefix="/v1/conversations/{conversation_id}", tags=["participants"])


# A browser takes a username that is null for the word.
@router.post("/join", responses=problems(404, 409, 410, 413, 422, 503), response_model_exclude_none=True)
async def join(conversation_id: ConversationId, body: Join, services: ServicesOf) -> Joined:
    """Trades a join token, once, for a credential that is good until the conversation ends. A join that fails
    leaves the token as good as it was."""
    invitation = await services.access.invitation(body.join_token)
    if invitation.conversation_id != conversation_id:
        raise JoinTokenUnknown("this join token belongs to another conversation: ask for a new one")
    await _open_conversation(services, invitation.tenant_id, conversation_id)
    participant_id = ParticipantId(random_uuid(services.entropy(16)))
    try:
        # The last that can fail, so that a token is spent for a participant and for nothing else.
        joined = await services.access.redeem_join_token(body.join_token, participant_id)
    except JoinTokenExpired as error:
        raise ApiProblem(HTTPStatus.GONE, error.code, sentence_of(error)) from None
    return Joined(
        participant_id=participant_id,
        resume_credential=joined.resume_credential,
        ice_servers=[
            IceServerView(urls=list(each.urls), username=each.username, credential=each.shown_credential)
            for each in services.ice_servers
        ],
    )


@router.post("/offer", responses=problems(401, 404, 409, 413, 422, 503))
async def offer(
    conversation_id: ConversationId, body: OfferBody, participant: ParticipantOf, services: ServicesOf
) -> AnswerBody:
    """Forwards the offer to the media worker that carries the conversation. A new offer replaces the
    participant's earlier connection. While no worker is there, 503 says at once when to ask again; after a
    second of it the conversation's events hold a `media.unavailable`, which says why."""
    summary = await _open_conversation(services, participant.tenant_id, conversation_id)
    if summary.worker_address is None:
        raise _no_line("No media worker is free for this conversation yet.")
    try:
        sdp = await services.media.offer(
            summary.worker_address, conversation_id, participant.participant_id, body.sdp
        )
    except WorkerRefused as error:
        raise _refusal(error.reason) from None
    return AnswerBody(sdp=sdp)


@router.post("/leave", status_code=202, responses=problems(401, 404, 422, 503))
async def leave(conversation_id: ConversationId, participant: ParticipantOf, services: ServicesOf) -> Leaving:
    """Hangs up. The credential works no more."""
    summary = await conversation_of(services, participant.tenant_id, conversation_id)
    if summary.worker_address is not None and not _is_over(summary):
        try:
            await services.media.leave(summary.worker_address, conversation_id, participant.participant_id)
        except WorkerUnavailable:
            # The worker sees the connection go, and the conversation ends by its own timer.
            log.warning("participant.leave_not_forwarded", conversation_id=str(conversation_id))
    await services.access.leave(participant)
    return Leaving(conversation_id=conversation_id, participant_id=participant.participant_id)


async def _open_conversation(
    services: Services, tenant_id: TenantId, conversation_id: ConversationId
) -> ConversationSummary:
    summary = await conversation_of(services, tenant_id, conversation_id)
    if _is_over(summary):
        raise ApiProblem(HTTPStatus.CONFLICT, "conversation_ended", "This conversation has ended.")
    return summary


def _is_over(summary: ConversationSummary) -> bool:
    return summary.status in (Status.WRAPPING_UP, Status.SEALED)


def _no_line(detail: str) -> ApiProblem:
    return ApiProblem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "no_media_worker",
        f"{detail} Ask again in a moment.",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def _refusal(reason: OfferRefused) -> ApiProblem:
    match reason:
        case OfferRefused.NO_SESSION:
            # The log names the worker a moment before its session is there, and a moment after it is lost.
            return _no_line("The conversation is being moved to a media worker.")
        case OfferRefused.ANOTHER_PARTICIPANT:
            return ApiProblem(
                HTTPStatus.CONFLICT,
                "another_participant",
                "Somebody else takes part in this conversation already, and it has room for one.",
            )
        case OfferRefused.BAD_OFFER:
            return ApiProblem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "bad_offer",
                "sdp: is no offer that can be answered; send an offer with audio and the channel `vivavoce`.",
            )
