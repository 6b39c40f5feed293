"""What holds for every address: keys, problems, bounds, headers, and the log that keeps no words."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import structlog
from starlette.responses import Response

from domain.errors import StoreUnavailable
from ops.api import edge, health
from ops.api.app import create_app
from ops.api.edge import BODY_BYTES_MAX, PERSONA_BYTES_MAX
from ops.api.services import Services
from ops.logs import configure_logs
from tests.api_fixtures import PUBLIC_URL
from tests.fakes.api import FakeRuns
from tests.integration.api.expectations import assert_problem

ID = "0b6f5a1c-52f0-4f0a-8d0e-6f1f6f0a7d11"
WITH_KEY = [
    ("POST", "/v1/personas"),
    ("GET", "/v1/personas"),
    ("GET", f"/v1/personas/{ID}"),
    ("POST", "/v1/conversations"),
    ("GET", "/v1/conversations"),
    ("GET", f"/v1/conversations/{ID}"),
    ("GET", f"/v1/conversations/{ID}/events"),
    ("POST", f"/v1/conversations/{ID}/end"),
    ("POST", f"/v1/conversations/{ID}/join-tokens"),
    ("POST", f"/v1/conversations/{ID}/offer"),
    ("POST", f"/v1/conversations/{ID}/leave"),
]


@pytest.mark.parametrize(("method", "path"), WITH_KEY)
@pytest.mark.parametrize("header", [None, "Bearer vv_guessed", "Basic dTpw", "Bearer " + "x" * 4000])
async def test_without_a_valid_key_nothing_is_answered(
    anyone: httpx.AsyncClient, method: str, path: str, header: str | None
) -> None:
    # A body that fits, so that only the key can be what is wrong.
    body = {"type": "offer", "sdp": "v=0"} if path.endswith("offer") else {"persona_id": ID}

    response = await anyone.request(
        method, path, json=body, headers={"Authorization": header} if header else {}
    )

    assert_problem(response, 401, "unauthorised")
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_every_route_that_a_program_calls_asks_for_a_key(services: Services) -> None:
    described = create_app(services).openapi()
    open_to_all = {
        (method.upper(), path)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
        if "security" not in operation
    }

    assert open_to_all == {
        ("POST", "/v1/conversations/{conversation_id}/join"),
        ("GET", "/v1/health/live"),
        ("GET", "/v1/health/ready"),
        ("GET", "/v1/schemas/persona"),
    }


async def test_unknown_addresses_and_methods_are_problems(anyone: httpx.AsyncClient) -> None:
    assert_problem(await anyone.get("/v1/nothing"), 404, "not_found")
    assert_problem(await anyone.get("/sdk/nothing.js"), 404, "not_found")
    assert_problem(await anyone.get("/sdk/../api/app.py"), 404, "not_found")
    wrong = await anyone.delete("/v1/conversations")
    assert_problem(wrong, 405, "method_not_allowed")
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "POST"}


async def test_a_body_that_is_no_json_is_a_problem(program: httpx.AsyncClient) -> None:
    response = await program.post(
        "/v1/conversations", content=b"{", headers={"Content-Type": "application/json"}
    )

    assert_problem(response, 422, "invalid_json")


async def test_a_body_that_says_it_is_too_large_is_refused(program: httpx.AsyncClient) -> None:
    for path, limit in [("/v1/conversations", BODY_BYTES_MAX), ("/v1/personas", PERSONA_BYTES_MAX)]:
        assert_problem(await program.post(path, content=b" " * (limit + 1)), 413, "too_large")


async def test_a_body_that_grows_too_large_is_refused(program: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 65_536 + 1):
            yield b" " * 65_536

    response = await program.post(
        "/v1/conversations", content=chunks(), headers={"Content-Type": "application/json"}
    )

    assert_problem(response, 413, "too_large")


async def test_a_body_that_never_ends_is_given_up(
    services: Services, monkeypatch: pytest.MonkeyPatch, api_key: str
) -> None:
    monkeypatch.setattr(edge, "BODY_READ_S_MAX", 0.05)
    sent: list[dict[str, Any]] = []

    begun = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if begun.is_set():
            await asyncio.Event().wait()
        begun.set()
        return {"type": "http.request", "body": b"{", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    await create_app(services)(
        {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/v1/conversations",
            "raw_path": b"/v1/conversations",
            "query_string": b"",
            "root_path": "",
            "headers": [
                (b"authorization", f"Bearer {api_key}".encode()),
                (b"content-type", b"application/json"),
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        },
        receive,
        send,
    )

    assert sent[0]["status"] == 408


async def test_more_requests_than_can_be_carried_are_told_to_come_again() -> None:
    began, finish = asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        began.set()
        await finish.wait()
        await Response(status_code=204)(scope, receive, send)

    transport = httpx.ASGITransport(edge.RequestLimit(slow, at_once_max=1))
    async with (
        httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client,
        asyncio.TaskGroup() as tasks,
    ):
        first = tasks.create_task(client.get("/"))
        await began.wait()
        second = await client.get("/")
        finish.set()

    assert_problem(second, 503, "too_busy")
    assert second.headers["retry-after"] == "1"
    assert (await first).status_code == 204


async def test_as_many_requests_are_carried_as_the_limit_says_and_room_is_given_back() -> None:
    # Given an application that answers only when it may
    finish, carried = asyncio.Event(), 0
    full = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        nonlocal carried
        carried += 1
        if carried == edge.REQUESTS_AT_ONCE_MAX:
            full.set()
        await finish.wait()
        await Response(status_code=204)(scope, receive, send)

    transport = httpx.ASGITransport(edge.RequestLimit(slow))
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        async with asyncio.TaskGroup() as tasks:
            # When as many come as may, and one more
            waiting = [tasks.create_task(client.get("/")) for _ in range(edge.REQUESTS_AT_ONCE_MAX)]
            await full.wait()
            refused = await client.get("/")
            finish.set()

        # Then only that one is refused, and afterwards there is room again
        assert_problem(refused, 503, "too_busy")
        assert {(await each).status_code for each in waiting} == {204}
        assert (await client.get("/")).status_code == 204


async def test_postgres_away_is_503_with_a_time_to_come_again(
    program: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("Postgres did not answer")

    monkeypatch.setattr(services.access, "authenticate", away)

    response = await program.get("/v1/conversations")

    assert_problem(response, 503, "store_unavailable")
    assert response.headers["retry-after"] == "1"


async def test_readiness_names_what_is_missing(anyone: httpx.AsyncClient, runs: FakeRuns) -> None:
    assert (await anyone.get("/v1/health/ready")).json() == {"status": "ready"}
    runs.down = True

    problem = assert_problem(await anyone.get("/v1/health/ready"), 503, "not_ready")

    assert "Temporal" in problem["detail"]
    assert "Postgres" not in problem["detail"]
    assert (await anyone.get("/v1/health/live")).json() == {"status": "live"}


async def test_readiness_does_not_wait_for_what_is_stuck(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck() -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(health, "CHECK_S_MAX", 0.05)
    app = create_app(dataclasses.replace(services, store_ready=stuck))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        problem = assert_problem(await client.get("/v1/health/ready"), 503, "not_ready")

    assert problem["detail"].startswith("Postgres does not answer")


async def test_pages_allow_no_inline_script_and_no_other_origin(anyone: httpx.AsyncClient) -> None:
    page = await anyone.get("/")
    module = await anyone.get("/sdk/vivavoce-call.js")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "javascript" in module.headers["content-type"]
    for response in (page, module):
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["etag"]
    for inline in ("<style", "style=", "onclick", "<script>", "javascript:"):
        assert inline not in page.text


async def test_data_is_never_cached_and_loads_nothing(program: httpx.AsyncClient) -> None:
    response = await program.get("/v1/conversations")

    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert response.headers["x-request-id"]


@pytest.mark.parametrize("name", ["join", "offer", "leave"])
async def test_an_element_on_another_site_may_call_what_participants_call(
    anyone: httpx.AsyncClient, name: str
) -> None:
    preflight = await anyone.options(
        f"/v1/conversations/{ID}/{name}",
        headers={
            "Origin": "https://bank.test",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    refused = await anyone.post(
        f"/v1/conversations/{ID}/{name}", json={}, headers={"Origin": "https://bank.test"}
    )

    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert refused.headers["access-control-allow-origin"] == "*"


async def test_pages_of_other_sites_may_not_call_what_programs_call(program: httpx.AsyncClient) -> None:
    response = await program.get("/v1/conversations", headers={"Origin": "https://elsewhere.test"})

    assert "access-control-allow-origin" not in response.headers


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    lines = io.StringIO()
    configure_logs("info", as_json=True, stream=lines)
    yield lines
    structlog.reset_defaults()


async def test_the_access_log_names_routes_and_ids_and_holds_no_words(
    program: httpx.AsyncClient, logged: io.StringIO
) -> None:
    await program.get(f"/v1/conversations/{ID}?name=Grace+Hopper")
    await program.post(
        "/v1/conversations", json={"persona_id": ID, "conversational_context": "Grace Hopper called"}
    )
    await program.get("/v1/Grace-Hopper")

    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    answered = [line for line in lines if line["event"] == "http.answered"]
    assert [(line["method"], line["route"], line["status"]) for line in answered] == [
        ("GET", "/v1/conversations/{conversation_id}", 404),
        ("POST", "/v1/conversations", 404),
        ("GET", "none", 404),
    ]
    assert answered[0]["conversation_id"] == ID
    assert answered[0]["tenant_id"]
    assert "Grace" not in logged.getvalue()


async def test_an_error_nobody_foresaw_is_a_problem_and_its_text_is_not_logged(
    program: httpx.AsyncClient,
    services: Services,
    logged: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise ValueError("Grace Hopper said so")

    monkeypatch.setattr(services.conversations, "page", broken)

    assert_problem(await program.get("/v1/conversations"), 500, "internal")
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    [told] = [line for line in lines if line["event"] == "api.unexpected_error"]
    assert told["error"] == "ValueError"
    assert "test_edge.py:" in told["where"][-1]
    assert "Grace" not in logged.getvalue()
