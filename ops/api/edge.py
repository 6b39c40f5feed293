"""What happens to every request before and after its route: bounds on the body, headers that browsers obey,
and one line in the access log."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import told
from ops.api.problem import RETRY_AFTER_S, problem_response

BODY_BYTES_MAX = 512 * 1024
# Two million characters of documents, four bytes each at most, and the rest of the persona.
PERSONA_BYTES_MAX = 9 * 1024 * 1024
BODY_READ_S_MAX = 30.0
REQUESTS_AT_ONCE_MAX = 256

PERSONAS_PATH = "/v1/personas"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src 'self' blob:; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
# What an element on another site's page calls. Its requests carry a token in the body or in a header and no
# cookie, so a page from anywhere gains nothing that the token does not give it.
_FROM_ANYWHERE = re.compile(r"/v1/conversations/[^/]+/(join|offer|leave)|/sdk/.+")

log = structlog.stdlib.get_logger("vivavoce.api")


class RequestLimit:
    """503 at once for more requests than the process can carry, rather than a queue that nobody sees."""

    def __init__(self, app: ASGIApp, *, at_once_max: int = REQUESTS_AT_ONCE_MAX) -> None:
        self._app, self._at_once_max, self._now = app, at_once_max, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._now >= self._at_once_max:
            answer = problem_response(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "too_busy",
                "The service is carrying as many requests as it can; ask again in a moment.",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
            await answer(scope, receive, send)
            return
        self._now += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._now -= 1


class BodyLimit:
    """413 for a body that is too large, told by its length or counted as it comes; 408 for one too slow."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = PERSONA_BYTES_MAX if scope["path"] == PERSONAS_PATH else BODY_BYTES_MAX
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdigit() and int(declared) > limit:
            answer = problem_response(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too_large",
                f"The body may hold {limit} bytes and holds {declared}.",
                headers={"Connection": "close"},
            )
            await answer(scope, receive, send)
            return
        await self._app(scope, _counting(receive, limit), send)


def _counting(receive: Receive, limit: int) -> Receive:
    seen, complete = 0, False
    deadline = asyncio.get_running_loop().time() + BODY_READ_S_MAX

    async def counted() -> Message:
        nonlocal seen, complete
        if complete:
            # What follows a body is the client's leaving, which may take as long as the answer does.
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise HTTPException(
                408, f"The body did not arrive within {BODY_READ_S_MAX:.0f} seconds; send it again."
            ) from None
        seen += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if seen > limit:
            raise HTTPException(413, f"The body may hold {limit} bytes; send less.")
        return message

    return counted


class LastResort:
    """500 for what nobody foresaw. The log gets the kind of error and where it happened, and not its text,
    which may quote what somebody said."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def observed(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except Exception as error:  # noqa: BLE001  # The top of a request.
            log.error("api.unexpected_error", **told(error))
            if started:
                raise RuntimeError("an answer broke off after it had begun") from None
            answer = problem_response(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "internal",
                "Something failed that should not. The log of the API says where.",
            )
            await answer(scope, receive, send)


class ProtectiveHeaders:
    """A strict content policy on pages, nothing at all allowed on data, and no personal answer in a cache."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        page = scope["path"] == "/" or scope["path"].startswith("/sdk/")

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", PAGE_POLICY if page else API_POLICY)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "no-referrer")
                # Pages and modules are asked for again by their ETag, so that an upgrade is seen at once.
                headers.setdefault("Cache-Control", "no-cache" if page else "no-store")
                if page:
                    headers.setdefault("Permissions-Policy", "camera=(self), microphone=(self)")
                if scope["path"].startswith("/sdk/"):
                    headers.setdefault("Cross-Origin-Resource-Policy", "cross-origin")
            await send(message)

        await self._app(scope, receive, protected)


class OtherOrigins:
    """Cross-origin requests for participants and for the element's files; for nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open = CORSMiddleware(
            app,
            allow_origins=["*"],
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After", "X-Request-Id"],
            max_age=600,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        anywhere = scope["type"] == "http" and _FROM_ANYWHERE.fullmatch(scope["path"])
        await (self._open if anywhere else self._app)(scope, receive, send)


class AccessLog:
    """One line a request: the route's template and ids, never a path or a query that a caller made up."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500
        request_id = str(uuid4())

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, observed)
            finally:
                log.info(
                    "http.answered",
                    method=scope["method"],
                    status=status,
                    took_ms=round((time.perf_counter() - started) * 1000, 1),
                    **_place(scope),
                )


def _place(scope: MutableMapping[str, Any]) -> dict[str, str]:
    route = scope.get("route")
    place = {"route": str(getattr(route, "path", "none"))}
    for name, value in scope.get("path_params", {}).items():
        if name.endswith("_id") and _is_uuid(str(value)):
            place[name] = str(value)
    return place


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
