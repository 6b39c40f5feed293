"""Every error as `application/problem+json` (RFC 9457), with a sentence that says what to do."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from domain.errors import InvalidInput, NotFound, RuleBroken, Unavailable, VivavoceError, sentence

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:vivavoce:problem:"
RETRY_AFTER_S = 1
# Where a field stands is not part of its name.
_PLACES = ("body", "query", "path", "header")
_CODES = {408: "too_slow", 413: "too_large"}
# A body with a thousand mistakes is answered with the first few.
MISTAKES_MAX = 20

log = structlog.stdlib.get_logger("vivavoce.api")


class Mistake(BaseModel):
    """One field that must change."""

    field: str
    message: str


class Problem(BaseModel):
    """What went wrong (RFC 9457). `code` is stable; `detail` is a sentence for people."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:vivavoce:problem:not_found",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "There is no such conversation.",
                    "code": "not_found",
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[Mistake] = Field(default_factory=list, description="Which fields to change, for code 422.")


class ApiProblem(VivavoceError):
    """An error whose HTTP answer is known where it is raised."""

    def __init__(
        self, status: HTTPStatus, code: str, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.headers = status, code, detail, dict(headers or {})


def problem_response(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mistake] = (),
) -> Response:
    body = Problem(
        type=TYPE_PREFIX + code,
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        errors=list(errors),
    )
    return JSONResponse(
        body.model_dump(exclude={"errors"} if not errors else None),
        status_code=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def install(app: FastAPI) -> None:
    """Makes every error of the application a problem document."""

    async def on_product_error(_request: Request, error: Exception) -> Response:
        assert isinstance(error, VivavoceError)
        return from_error(error)

    async def on_validation_error(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return from_mistakes(error.errors())

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return from_http(error, allowed=_methods_at(request))

    app.add_exception_handler(VivavoceError, on_product_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_error)


def from_error(error: VivavoceError) -> Response:
    """Domain errors carry facts and a sentence; the status is decided here alone."""
    match error:
        case ApiProblem():
            return problem_response(error.status, error.code, error.detail, headers=error.headers)
        case NotFound():
            return problem_response(404, error.code, sentence_of(error))
        case InvalidInput():
            return problem_response(422, error.code, sentence_of(error))
        case RuleBroken():
            return problem_response(409, error.code, sentence_of(error))
        case Unavailable():
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            return problem_response(503, error.code, sentence_of(error), headers=headers)
        case _:
            log.error("api.unexpected_error", error=type(error).__name__)
            return problem_response(500, error.code, "The request failed. The API's log has the details.")


def sentence_of(error: VivavoceError) -> str:
    """The error's own words, as a sentence."""
    return sentence(str(error))


def _methods_at(request: Request) -> set[str]:
    """Of all operations at this address: each route by itself knows only its own method."""
    return {
        method.upper()
        for template, operations in request.app.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), request.url.path)
        for method in operations
    }


def from_http(error: HTTPException, *, allowed: Collection[str] = ()) -> Response:
    details = {
        404: "There is nothing at this address.",
        405: "This address does not take that method; the Allow header names those that it takes.",
    }
    code = _CODES.get(error.status_code, HTTPStatus(error.status_code).name.lower())
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and allowed:
        headers["Allow"] = ", ".join(sorted(allowed))
    return problem_response(
        error.status_code,
        code,
        details.get(error.status_code, str(error.detail)),
        headers=headers,
    )


def from_mistakes(errors: Iterable[Any]) -> Response:
    """422 with a sentence that names the fields. What was sent is not repeated."""
    mistakes: list[Mistake] = []
    unknown: list[str] = []
    for error in errors:
        field = ".".join(str(part) for part in error["loc"] if part not in _PLACES)
        if error["type"] == "extra_forbidden":
            unknown.append(field)
            mistakes.append(Mistake(field=field, message="is not known"))
        elif error["type"] == "json_invalid":
            return problem_response(422, "invalid_json", "The body is not JSON; send one JSON object.")
        else:
            message = str(error["msg"]).removeprefix("Value error, ")
            mistakes.append(Mistake(field=field or "body", message=message[:1].lower() + message[1:]))
    return problem_response(
        422, "invalid_input", _sentence(unknown, mistakes), errors=mistakes[:MISTAKES_MAX]
    )


def _sentence(unknown: list[str], mistakes: list[Mistake]) -> str:
    parts = []
    if unknown:
        fields = ", ".join(unknown[:MISTAKES_MAX])
        is_are = "is no field" if len(unknown) == 1 else "are no fields"
        parts.append(f"{fields} {is_are} of this request; remove what is not in the description.")
    wrong = [mistake for mistake in mistakes if mistake.field not in unknown]
    if wrong:
        parts.append("; ".join(f"{mistake.field}: {mistake.message}" for mistake in wrong[:5]) + ".")
    return " ".join(parts)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route, for the description."""
    return {
        status: {
            "description": _DESCRIPTIONS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            **({"headers": _RETRY_AFTER} if status == 503 else {}),
        }
        for status in statuses
    }


_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds after which to ask again.", "schema": {"type": "integer"}}
}
_DESCRIPTIONS = {
    400: "The request cannot be read.",
    401: "The key or credential is missing, unknown or withdrawn.",
    404: "There is no such thing, or it is another tenant's.",
    409: "The rules do not allow this just now.",
    410: "It is too late for this.",
    413: "The body is larger than this address takes.",
    415: "The body is of a type that this address does not take.",
    422: "A field is missing, unknown or out of bounds.",
    503: "A dependency did not answer in time; the same request may succeed later.",
}
