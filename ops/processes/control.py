"""A media worker's control endpoint: where the API forwards offers to. Not for the public network."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from uuid import UUID

from pydantic import Field, ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.events.payload import Frozen
from domain.ids import ConversationId, ParticipantId
from domain.ports import Offer
from media.errors import AnotherParticipant, BadOffer, MediaError, NoSession, TooManyOffers
from media.peer import SDP_BYTES_MAX
from media.worker import MediaWorker

BODY_BYTES_MAX = SDP_BYTES_MAX + 4_096
_STATUS: dict[type[MediaError], int] = {
    NoSession: 404,
    AnotherParticipant: 409,
    BadOffer: 422,
    TooManyOffers: 503,
}


class _OfferBody(Frozen):
    participant_id: UUID
    sdp: str = Field(min_length=1, max_length=SDP_BYTES_MAX)


class _LeaveBody(Frozen):
    participant_id: UUID


def control_app(worker: MediaWorker, secret: str) -> Starlette:
    """Answers only to bearers of the installation's control secret, but for `/health`."""

    async def health(_: Request) -> Response:
        return JSONResponse({"worker_id": str(worker.worker_id), "sessions": worker.sessions})

    async def offer(request: Request) -> Response:
        body = _OfferBody.model_validate_json(await request.body())
        sdp = await worker.offer(_conversation(request), Offer(ParticipantId(body.participant_id), body.sdp))
        return JSONResponse({"sdp": sdp})

    async def leave(request: Request) -> Response:
        body = _LeaveBody.model_validate_json(await request.body())
        worker.leave(_conversation(request), ParticipantId(body.participant_id))
        return Response(status_code=202)

    async def guard(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        if request.url.path == "/health":
            return await call(request)
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {secret}".encode()):
            return _refusal(401, "unauthorised", "the control secret is missing or wrong")
        if int(request.headers.get("content-length") or BODY_BYTES_MAX + 1) > BODY_BYTES_MAX:
            return _refusal(413, "too_large", f"a body must say its length and hold {BODY_BYTES_MAX} bytes")
        return await call(request)

    async def refused(_: Request, error: Exception) -> Response:
        if not isinstance(error, MediaError):
            raise error
        return _refusal(_STATUS.get(type(error), 500), error.code, str(error))

    async def malformed(_: Request, error: Exception) -> Response:
        return _refusal(422, "invalid_input", "the body does not have the form of this request")

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/sessions/{conversation_id:uuid}/offer", offer, methods=["POST"]),
            Route("/sessions/{conversation_id:uuid}/leave", leave, methods=["POST"]),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=guard)],
        exception_handlers={MediaError: refused, ValidationError: malformed},
    )


def _conversation(request: Request) -> ConversationId:
    return ConversationId(request.path_params["conversation_id"])


def _refusal(status: int, code: str, detail: str) -> Response:
    return JSONResponse({"code": code, "detail": detail}, status)
