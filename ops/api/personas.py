"""Publishing and reading personas. A published revision never changes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from activities.personas import PersonaSummary as Listed
from activities.personas import parse_persona_text
from domain.events.canonical import Json
from domain.events.envelope import Actor, ActorKind
from domain.ids import PersonaId
from domain.mind.persona import Persona, PersonaInvalid, PublishedPersona, persona_schema
from domain.text import storable
from ops.api.auth import CallerOf
from ops.api.models import (
    DocumentView,
    PageQuery,
    PersonaPage,
    PersonaPublication,
    PersonaSelector,
    PersonaSummary,
    PersonaView,
    RevisionSelector,
)
from ops.api.problem import ApiProblem, problems
from ops.api.services import ServicesOf

router = APIRouter(prefix="/v1", tags=["personas"])

_JSON_TYPE = "application/json"
_YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml")
_PERSONA_BODY = {
    "requestBody": {
        "required": True,
        "description": "The persona document, with the text of its documents.",
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Persona"}},
            "application/yaml": {"schema": {"$ref": "#/components/schemas/Persona"}},
        },
    }
}


@router.post(
    "/personas",
    status_code=201,
    responses={
        200: {"model": PersonaPublication, "description": "This content was published before; its revision."},
        **problems(401, 404, 413, 415, 422, 503),
    },
    openapi_extra=_PERSONA_BODY,
)
async def publish_persona(
    request: Request,
    response: Response,
    selector: Annotated[PersonaSelector, Query()],
    caller: CallerOf,
    services: ServicesOf,
) -> PersonaPublication:
    """Publishes a persona, or the next revision of one. The same content again is the same revision."""
    persona = await _persona(request)
    publication = await services.publisher.publish(
        caller.tenant_id,
        persona,
        actor=Actor(kind=ActorKind.SERVICE, id=str(caller.key_id)),
        persona_id=selector.persona_id,
    )
    if not publication.created:
        response.status_code = HTTPStatus.OK
    return PersonaPublication(**_facts(publication.published))


@router.get("/personas", responses=problems(401, 422, 503))
async def list_personas(
    query: Annotated[PageQuery, Query()], caller: CallerOf, services: ServicesOf
) -> PersonaPage:
    """The newest revision of each, newest persona first."""
    found = await services.personas.summaries(caller.tenant_id)
    first = 0 if query.cursor is None else _place_after(query.cursor, found)
    page = found[first : first + query.limit]
    more = first + query.limit < len(found)
    return PersonaPage(
        personas=[_summary(each) for each in page], next_cursor=str(page[-1].persona_id) if more else None
    )


@router.get("/personas/{persona_id}", responses=problems(401, 404, 422, 503))
async def get_persona(
    persona_id: PersonaId,
    selector: Annotated[RevisionSelector, Query()],
    caller: CallerOf,
    services: ServicesOf,
) -> PersonaView:
    if selector.revision is None:
        published = await services.personas.latest(caller.tenant_id, persona_id)
    else:
        published = await services.personas.load(caller.tenant_id, persona_id, selector.revision)
    return PersonaView(**_facts(published), persona=published.persona)


@router.get("/schemas/persona")
async def get_persona_schema() -> dict[str, Any]:
    """JSON Schema of a persona file, for editors."""
    schema: dict[str, Json] = persona_schema()
    return schema


async def _persona(request: Request) -> Persona:
    media_type = request.headers.get("content-type", _JSON_TYPE).partition(";")[0].strip().lower()
    if media_type != _JSON_TYPE and media_type not in _YAML_TYPES:
        raise ApiProblem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "A persona comes as application/json or application/yaml; name it in Content-Type.",
        )
    body = await request.body()
    # Long texts and many rules: not on the loop that answers everybody else.
    try:
        persona = await asyncio.to_thread(parse_persona_text, body)
    except RecursionError:
        raise PersonaInvalid(("persona: the document has too many levels.",)) from None
    if not _all_storable(persona.model_dump(mode="json")):
        raise PersonaInvalid(
            ("persona: a text holds a NUL or half a surrogate pair; send whole characters.",)
        )
    return persona


def _all_storable(value: Json) -> bool:
    match value:
        case str():
            return storable(value)
        case Mapping():
            return all(_all_storable(inner) for inner in value.values())
        case Sequence():
            return all(_all_storable(inner) for inner in value)
        case _:
            return True


def _documents(persona: Persona) -> list[DocumentView]:
    return [
        DocumentView(
            document_id=document.document_id,
            title=document.title,
            media_type=document.media_type,
            characters=len(document.text),
        )
        for document in persona.documents
    ]


def _facts(published: PublishedPersona) -> dict[str, Any]:
    return {
        "persona_id": published.persona_id,
        "revision": published.revision,
        "content_sha256": published.persona.content_sha256,
        "policy_revision": published.policy_revision,
        "knowledge_revision": published.knowledge_revision,
        "documents": _documents(published.persona),
    }


def _summary(found: Listed) -> PersonaSummary:
    return PersonaSummary(
        persona_id=found.persona_id,
        revision=found.revision,
        name=found.name,
        language=found.language,
        document_titles=list(found.document_titles),
        published_at=found.created_at,
    )


def _place_after(cursor: str, found: Sequence[Listed]) -> int:
    for place, each in enumerate(found):
        if str(each.persona_id) == cursor:
            return place + 1
    raise ApiProblem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_cursor", "This cursor was not given out; begin without one."
    )
