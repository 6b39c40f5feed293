"""Publishing and reading personas over HTTP, on a real Postgres."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import httpx
import pytest
import yaml

from tests.api_fixtures import PERSONA
from tests.integration.api.expectations import assert_problem

YAML = {"Content-Type": "application/yaml"}
JSON = {"Content-Type": "application/json"}


async def test_the_same_content_is_the_same_revision_and_another_is_the_next(
    program: httpx.AsyncClient, persona_id: UUID
) -> None:
    path = f"/v1/personas?persona_id={persona_id}"

    same = await program.post(path, json=PERSONA)
    other = await program.post(path, json={**PERSONA, "greeting": "Hello."})

    assert (same.status_code, same.json()["revision"]) == (200, 1)
    assert (other.status_code, other.json()["revision"]) == (201, 2)
    assert other.json()["persona_id"] == str(persona_id)
    assert other.json()["knowledge_revision"] == same.json()["knowledge_revision"]
    assert other.json()["content_sha256"] != same.json()["content_sha256"]


async def test_yaml_and_json_of_one_persona_are_one_content(
    program: httpx.AsyncClient, persona_id: UUID
) -> None:
    response = await program.post(
        f"/v1/personas?persona_id={persona_id}", content=yaml.safe_dump(PERSONA), headers=YAML
    )

    assert response.status_code == 200
    assert response.json()["documents"] == [
        {
            "document_id": "claims-guide",
            "title": "Claims guide",
            "media_type": "text/markdown",
            "characters": len(PERSONA["documents"][0]["text"]),
        }
    ]


async def test_an_old_revision_can_still_be_read(program: httpx.AsyncClient, persona_id: UUID) -> None:
    await program.post(f"/v1/personas?persona_id={persona_id}", json={**PERSONA, "greeting": "Hello."})

    first = (await program.get(f"/v1/personas/{persona_id}", params={"revision": 1})).json()
    newest = (await program.get(f"/v1/personas/{persona_id}")).json()

    assert (first["revision"], first["persona"]["greeting"]) == (1, "How can I help?")
    assert (newest["revision"], newest["persona"]["greeting"]) == (2, "Hello.")


async def test_personas_are_listed_in_pages(program: httpx.AsyncClient) -> None:
    made = [
        (await program.post("/v1/personas", json={**PERSONA, "name": f"Ada {number}"})).json()["persona_id"]
        for number in range(3)
    ]

    first = (await program.get("/v1/personas?limit=2")).json()
    rest = (await program.get(f"/v1/personas?limit=2&cursor={first['next_cursor']}")).json()

    listed = [*first["personas"], *rest["personas"]]
    assert [each["persona_id"] for each in listed] == made[::-1]
    assert listed[0]["document_titles"] == ["Claims guide"]
    assert rest["next_cursor"] is None
    assert_problem(await program.get("/v1/personas?cursor=nonsense"), 422, "invalid_cursor")


async def test_an_unknown_persona_or_revision_is_not_found(
    program: httpx.AsyncClient, persona_id: UUID
) -> None:
    unknown = "0b6f5a1c-52f0-4f0a-8d0e-6f1f6f0a7d11"

    assert_problem(await program.get(f"/v1/personas/{unknown}"), 404, "persona_not_found")
    assert_problem(await program.get(f"/v1/personas/{persona_id}?revision=7"), 404, "persona_not_found")
    assert_problem(
        await program.post(f"/v1/personas?persona_id={unknown}", json=PERSONA), 404, "persona_not_found"
    )


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"[1, 2", JSON, 422),
        (b"[" * 100_000, JSON, 422),
        (b"\xff\xfe", JSON, 422),
        (b"a: [", YAML, 422),
        (b"a: &b [x]\nc: *b", YAML, 422),
        (b"!!python/object/apply:os.getcwd []", YAML, 422),
        (json.dumps({**PERSONA, "pet": "cat"}).encode(), JSON, 422),
        (json.dumps({**PERSONA, "greeting": "a\x00b"}).encode(), JSON, 422),
        (json.dumps({**PERSONA, "greeting": "a\ud800b"}).encode(), JSON, 422),
        (b"<persona/>", {"Content-Type": "application/xml"}, 415),
    ],
)
async def test_a_document_that_cannot_be_used_is_refused_with_a_sentence(
    program: httpx.AsyncClient, content: bytes, headers: dict[str, str], status: int
) -> None:
    response = await program.post("/v1/personas", content=content, headers=headers)

    assert_problem(response, status, "unsupported_media_type" if status == 415 else "persona_invalid")


async def test_an_unknown_field_of_a_persona_is_named(program: httpx.AsyncClient) -> None:
    body: dict[str, Any] = {**PERSONA, "voice": {"name": "clara", "colour": "red"}}

    problem = assert_problem(await program.post("/v1/personas", json=body), 422, "persona_invalid")

    assert "voice.colour" in problem["detail"]
