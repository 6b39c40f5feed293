"""The OpenAPI 3.1 description, as complete as the routes are."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ops.api.problem import Problem

API_VERSION = "1.0.0"
TITLE = "Vivavoce"
SUMMARY = "Conversations face to face with an AI persona, recorded as events while they happen."
DESCRIPTION = """\
Programs authenticate with an API key (`Authorization: Bearer vv_…`). A participant's browser holds no key: it
trades a join token, which works once and within a minute, for a resume credential that is good for the rest
of that one conversation.

Errors are `application/problem+json` (RFC 9457) with a stable `code` and a `detail` for people. Lists are
read in pages with an opaque cursor, events by version. `Idempotency-Key` on `POST /v1/conversations` makes a
repeat safe: the same key with the same body names the same conversation (its join token is a new one, because
the first may have been used), and with another body it is refused.

A conversation exists as soon as its first event is stored. Where Temporal does not answer at that moment, the
answer is still 201 with the status `requested`: a sweep begins the conversation's workflow within a minute.
"""
TAGS = [
    {"name": "personas", "description": "Who can be spoken with. Published revisions are immutable."},
    {"name": "conversations", "description": "Creating, reading and ending them, and their events."},
    {"name": "participants", "description": "What the browser of a participant calls."},
    {"name": "health", "description": "Whether this process lives, and whether it can do its work."},
]
SCHEMAS_PREFIX = "#/components/schemas/{model}"


def describe(app: FastAPI) -> dict[str, Any]:
    """Made once for an application, then kept."""
    if app.openapi_schema is None:
        description = get_openapi(
            title=TITLE,
            version=API_VERSION,
            openapi_version="3.1.0",
            summary=SUMMARY,
            description=DESCRIPTION,
            routes=app.routes,
            tags=TAGS,
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            separate_input_output_schemas=False,
        )
        schemas = description["components"]["schemas"]
        problem = Problem.model_json_schema(ref_template=SCHEMAS_PREFIX)
        schemas.update(problem.pop("$defs", {}))
        schemas["Problem"] = problem
        app.openapi_schema = description
    return app.openapi_schema
