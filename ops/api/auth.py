"""Who asks: a program with an API key, or a participant with a resume credential."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import structlog
from fastapi import Depends, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from activities.store.access import ApiCaller, Participant
from domain.ids import ConversationId
from ops.api.models import TOKEN_CHARS_MAX
from ops.api.problem import ApiProblem
from ops.api.services import ServicesOf

_api_key = HTTPBearer(
    scheme_name="ApiKey",
    description="An API key of the tenant: `vv_…`.",
    bearerFormat="vv_…",
    auto_error=False,
)
_resume_credential = HTTPBearer(
    scheme_name="ResumeCredential",
    description="What a participant was given on joining; good for that conversation until it ends.",
    auto_error=False,
)


async def caller_of(
    services: ServicesOf,
    presented: Annotated[HTTPAuthorizationCredentials | None, Security(_api_key)],
) -> ApiCaller:
    secret = _secret(presented, "This address needs an API key: send `Authorization: Bearer vv_…`.")
    caller = await services.access.authenticate(secret)
    if caller is None:
        raise _unauthorised("This API key is not known, or it was withdrawn.")
    structlog.contextvars.bind_contextvars(tenant_id=str(caller.tenant_id), key_id=str(caller.key_id))
    return caller


async def participant_of(
    conversation_id: ConversationId,
    services: ServicesOf,
    presented: Annotated[HTTPAuthorizationCredentials | None, Security(_resume_credential)],
) -> Participant:
    secret = _secret(
        presented, "This address needs the credential that joining gave: send `Authorization: Bearer …`."
    )
    participant = await services.access.resume(secret)
    # One conversation's credential says nothing about another, not even that it is there.
    if participant is None or participant.conversation_id != conversation_id:
        raise _unauthorised("This credential does not belong to this conversation, or its holder has left.")
    return participant


def _secret(presented: HTTPAuthorizationCredentials | None, otherwise: str) -> str:
    if presented is None or not presented.credentials:
        raise _unauthorised(otherwise)
    if len(presented.credentials) > TOKEN_CHARS_MAX:
        raise _unauthorised("This is no key of ours.")
    return presented.credentials


def _unauthorised(detail: str) -> ApiProblem:
    return ApiProblem(
        HTTPStatus.UNAUTHORIZED,
        "unauthorised",
        detail,
        headers={"WWW-Authenticate": 'Bearer realm="vivavoce"'},
    )


CallerOf = Annotated[ApiCaller, Depends(caller_of)]
ParticipantOf = Annotated[Participant, Depends(participant_of)]
