"""Creating, reading and ending conversations over HTTP, on a real Postgres."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest

from domain.events.catalogue import ConversationRequested
from domain.ids import ConversationId, TenantId, conversation_stream
from ops.api.models import (
    CONTEXT_CHARS_MAX,
    EVENTS_PAGE_MAX,
    GREETING_CHARS_MAX,
    IDEMPOTENCY_KEY_CHARS_MAX,
    PAGE_MAX,
)
from ops.api.services import Services
from ops.bootstrap import Addresses, ensure_api_key, ensure_tenant
from tests.fakes.api import FakeRuns
from tests.fakes.conversation_log import Log
from tests.integration.api.expectations import assert_problem

UNKNOWN = "0b6f5a1c-52f0-4f0a-8d0e-6f1f6f0a7d11"


async def test_a_conversation_is_recorded_then_begun_and_can_be_joined(
    program: httpx.AsyncClient, persona_id: UUID, services: Services, tenant_id: TenantId, runs: FakeRuns
) -> None:
    body = {
        "persona_id": str(persona_id),
        "conversational_context": "A pipe burst this morning.",
        "custom_greeting": "Good morning.",
        "properties": {"max_call_duration": 120},
    }

    response = await program.post("/v1/conversations", json=body)

    assert response.status_code == 201
    created = response.json()
    conversation_id = ConversationId(UUID(created["conversation_id"]))
    [event] = await services.store.read(tenant_id, conversation_stream(conversation_id))
    assert isinstance(event.payload, ConversationRequested)
    assert event.session_epoch == 0
    persona = await services.personas.latest(tenant_id, event.payload.persona_id)
    assert event.payload.persona_revision == persona.revision == created["persona_revision"]
    assert event.payload.policy_revision == persona.policy_revision
    assert event.payload.knowledge_revision == persona.knowledge_revision
    assert event.payload.conversational_context == "A pipe burst this morning."
    assert event.payload.custom_greeting == "Good morning."
    assert event.payload.properties.max_call_duration == 120
    assert runs.started == [conversation_id]
    assert created["status"] == "requested"
    link = parse_qs(urlsplit(created["conversation_url"]).fragment)
    assert link == {"conversation": [str(conversation_id)], "token": [created["join_token"]]}


async def test_a_conversation_exists_also_while_temporal_is_away(
    program: httpx.AsyncClient, persona_id: UUID, runs: FakeRuns
) -> None:
    runs.down = True

    response = await program.post("/v1/conversations", json={"persona_id": str(persona_id)})

    assert response.status_code == 201
    found = await program.get(f"/v1/conversations/{response.json()['conversation_id']}")
    assert found.json()["status"] == "requested"


async def test_a_pinned_revision_stays_while_newer_ones_are_published(
    program: httpx.AsyncClient, persona_id: UUID
) -> None:
    persona = (await program.get(f"/v1/personas/{persona_id}")).json()["persona"]
    await program.post(f"/v1/personas?persona_id={persona_id}", json={**persona, "greeting": "Hello there."})

    pinned = await program.post(
        "/v1/conversations", json={"persona_id": str(persona_id), "persona_revision": 1}
    )
    newest = await program.post("/v1/conversations", json={"persona_id": str(persona_id)})

    assert pinned.json()["persona_revision"] == 1
    assert newest.json()["persona_revision"] == 2


async def test_the_same_key_and_body_name_the_same_conversation(
    program: httpx.AsyncClient, persona_id: UUID, runs: FakeRuns
) -> None:
    body, headers = {"persona_id": str(persona_id)}, {"Idempotency-Key": str(uuid4())}

    answers = await asyncio.gather(
        *(program.post("/v1/conversations", json=body, headers=headers) for _ in range(5))
    )

    assert [answer.status_code for answer in answers] == [201] * 5
    assert len({answer.json()["conversation_id"] for answer in answers}) == 1
    assert len({answer.json()["created_at"] for answer in answers}) == 1
    assert len(runs.started) == 1
    listed = (await program.get("/v1/conversations")).json()["conversations"]
    assert len(listed) == 1


async def test_the_same_key_with_another_body_is_refused(
    program: httpx.AsyncClient, persona_id: UUID
) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    body = {"persona_id": str(persona_id)}
    await program.post("/v1/conversations", json=body, headers=headers)

    response = await program.post(
        "/v1/conversations", json={**body, "custom_greeting": "Hi."}, headers=headers
    )

    assert_problem(response, 422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "k" * (IDEMPOTENCY_KEY_CHARS_MAX + 1)])
async def test_an_idempotency_key_has_a_length(
    program: httpx.AsyncClient, persona_id: UUID, key: str
) -> None:
    response = await program.post(
        "/v1/conversations", json={"persona_id": str(persona_id)}, headers={"Idempotency-Key": key}
    )

    assert_problem(response, 422, "invalid_input")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"personna_id": "x"}, "personna_id"),
        ({"properties": {"max_duration": 5}}, "properties.max_duration"),
        ({"conversational_context": "x" * (CONTEXT_CHARS_MAX + 1)}, "conversational_context"),
        ({"custom_greeting": "x" * (GREETING_CHARS_MAX + 1)}, "custom_greeting"),
        ({"custom_greeting": ""}, "custom_greeting"),
        ({"custom_greeting": "a\x00b"}, "custom_greeting"),
        ({"conversational_context": "\ud800"}, "conversational_context"),
        ({"properties": {"max_call_duration": 5}}, "properties.max_call_duration"),
        ({"persona_revision": 0}, "persona_revision"),
        ({"persona_id": "Ada"}, "persona_id"),
    ],
)
async def test_what_does_not_fit_is_named(
    program: httpx.AsyncClient, persona_id: UUID, change: dict[str, Any], named: str
) -> None:
    # Written in ASCII, so that half a surrogate pair can be sent as its escape.
    body = json.dumps({"persona_id": str(persona_id), **change})
    headers = {"Content-Type": "application/json"}

    response = await program.post("/v1/conversations", content=body, headers=headers)

    problem = assert_problem(response, 422, "invalid_input")
    assert named in problem["detail"]
    assert [mistake["field"] for mistake in problem["errors"]] == [named]


async def test_values_at_their_bounds_are_taken(program: httpx.AsyncClient, persona_id: UUID) -> None:
    body = {
        "persona_id": str(persona_id),
        "conversational_context": "é" * CONTEXT_CHARS_MAX,
        "custom_greeting": "x" * GREETING_CHARS_MAX,
    }

    assert (await program.post("/v1/conversations", json=body)).status_code == 201


async def test_an_unknown_persona_is_not_found(program: httpx.AsyncClient) -> None:
    response = await program.post("/v1/conversations", json={"persona_id": UNKNOWN})

    assert_problem(response, 404, "persona_not_found")


async def test_a_list_is_read_in_pages_newest_first(program: httpx.AsyncClient, persona_id: UUID) -> None:
    made = [
        (await program.post("/v1/conversations", json={"persona_id": str(persona_id)})).json()[
            "conversation_id"
        ]
        for _ in range(5)
    ]

    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = (
            await program.get(
                "/v1/conversations", params={"limit": 2, **({"cursor": cursor} if cursor else {})}
            )
        ).json()
        seen += [each["conversation_id"] for each in page["conversations"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == made[::-1]


async def test_a_list_shows_one_status(
    program: httpx.AsyncClient, conversation: dict[str, Any], persona_id: UUID, conversation_log: Log
) -> None:
    await program.post("/v1/conversations", json={"persona_id": str(persona_id)})
    await conversation_log.assign(conversation["conversation_id"])

    page = (await program.get("/v1/conversations", params={"status": "awaiting_participant"})).json()

    assert [each["conversation_id"] for each in page["conversations"]] == [conversation["conversation_id"]]


@pytest.mark.parametrize(
    "query",
    [f"limit={PAGE_MAX + 1}", "limit=0", "status=asleep", "order=newest", "cursor=bm9uc2Vuc2U"],
)
async def test_a_query_that_does_not_fit_is_refused(program: httpx.AsyncClient, query: str) -> None:
    response = await program.get(f"/v1/conversations?{query}")

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"


async def test_events_are_read_after_a_version(
    program: httpx.AsyncClient, conversation: dict[str, Any], conversation_log: Log
) -> None:
    conversation_id = conversation["conversation_id"]
    await conversation_log.assign(conversation_id)
    await conversation_log.end(conversation_id)

    first = (await program.get(f"/v1/conversations/{conversation_id}/events?limit=2")).json()
    rest = (
        await program.get(f"/v1/conversations/{conversation_id}/events?after={first['next_after']}")
    ).json()
    none = (
        await program.get(f"/v1/conversations/{conversation_id}/events?after={rest['next_after']}")
    ).json()

    assert [event["type"] for event in first["events"]] == ["conversation.requested", "media.assigned"]
    assert [event["type"] for event in rest["events"]] == ["conversation.ended"]
    assert none == {"events": [], "next_after": 3}
    assert set(first["events"][0]) == {
        "version",
        "event_id",
        "type",
        "schema_version",
        "occurred_at",
        "recorded_at",
        "media_ms",
        "actor",
        "causation_id",
        "correlation_id",
        "session_epoch",
        "classification",
        "payload",
    }


async def test_events_of_an_unknown_conversation_are_not_found(program: httpx.AsyncClient) -> None:
    assert_problem(await program.get(f"/v1/conversations/{UNKNOWN}/events"), 404, "not_found")
    too_many = await program.get(f"/v1/conversations/{UNKNOWN}/events?limit={EVENTS_PAGE_MAX + 1}")
    assert_problem(too_many, 422, "invalid_input")


async def test_ending_asks_the_workflow_once_it_is_not_over(
    program: httpx.AsyncClient,
    conversation: dict[str, Any],
    runs: FakeRuns,
    conversation_log: Log,
    services: Services,
    api_key: str,
) -> None:
    path = f"/v1/conversations/{conversation['conversation_id']}/end"
    caller = await services.access.authenticate(api_key)
    assert caller is not None

    asked = await program.post(path)
    await conversation_log.end(conversation["conversation_id"], epoch=1)
    again = await program.post(path)

    assert (asked.status_code, again.status_code) == (202, 202)
    assert [str(each) for each in runs.ended] == [conversation["conversation_id"]]
    assert runs.asked_by == [caller.key_id]
    assert again.json()["status"] == "wrapping_up"


async def test_ending_while_temporal_is_away_says_when_to_ask_again(
    program: httpx.AsyncClient, conversation: dict[str, Any], runs: FakeRuns
) -> None:
    runs.down = True

    response = await program.post(f"/v1/conversations/{conversation['conversation_id']}/end")

    assert_problem(response, 503, "workflows_unavailable")
    assert response.headers["retry-after"] == "1"


async def test_another_tenants_conversation_is_not_found(
    program: httpx.AsyncClient,
    anyone: httpx.AsyncClient,
    conversation: dict[str, Any],
    addresses: Addresses,
) -> None:
    other = TenantId(uuid4())
    await ensure_tenant(addresses.admin_url, other, name="another customer")
    await ensure_api_key(addresses.admin_url, other, key="vv_another", name="its program")
    headers = {"Authorization": "Bearer vv_another"}
    path = f"/v1/conversations/{conversation['conversation_id']}"

    assert (await program.get(path)).status_code == 200
    for method, where in [
        ("GET", path),
        ("GET", f"{path}/events"),
        ("POST", f"{path}/end"),
        ("POST", f"{path}/join-tokens"),
    ]:
        assert_problem(await anyone.request(method, where, headers=headers), 404, "not_found")
    assert (await anyone.get("/v1/conversations", headers=headers)).json()["conversations"] == []
