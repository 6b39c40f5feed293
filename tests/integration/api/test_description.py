"""The OpenAPI description is valid, whole, and true of every route."""

from __future__ import annotations

import json
import re
import warnings
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from ops.api.problem import MEDIA_TYPE


@pytest.fixture
async def description(anyone: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await anyone.get("/v1/openapi.json")).json()
    return found


async def test_it_is_valid_without_a_warning(description: dict[str, Any]) -> None:
    assert description["openapi"].startswith("3.1.")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        validate(description, cls=OpenAPIV31SpecValidator)


async def test_every_reference_leads_somewhere(description: dict[str, Any]) -> None:
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(description)):
        found: Any = description
        for step in reference.split("/"):
            assert step in found, reference
            found = found[step]


async def test_every_operation_declares_its_errors_as_problems(description: dict[str, Any]) -> None:
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            errors = {code: each for code, each in operation["responses"].items() if code >= "400"}
            for code, response in errors.items():
                assert list(response["content"]) == [MEDIA_TYPE], (method, path, code)
            if "security" in operation:
                assert {"401", "503"} <= set(errors), (method, path)
            if "{" in path:
                assert {"404", "422"} <= set(errors), (method, path)
    assert "HTTPValidationError" not in description["components"]["schemas"]


async def test_keys_and_credentials_are_told_apart(description: dict[str, Any]) -> None:
    schemes = description["components"]["securitySchemes"]
    participants = description["paths"]["/v1/conversations/{conversation_id}/offer"]["post"]
    programs = description["paths"]["/v1/conversations"]["post"]

    assert {name: scheme["scheme"] for name, scheme in schemes.items()} == {
        "ApiKey": "bearer",
        "ResumeCredential": "bearer",
    }
    assert participants["security"] == [{"ResumeCredential": []}]
    assert programs["security"] == [{"ApiKey": []}]


async def test_what_is_sent_and_answered_has_an_example(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    for name in (
        "CreateConversation",
        "CreatedConversation",
        "ConversationView",
        "EventView",
        "Join",
        "Joined",
        "JoinTokenView",
        "OfferBody",
        "AnswerBody",
        "PersonaPublication",
        "Problem",
    ):
        assert schemas[name]["examples"], name


async def test_a_persona_may_come_as_json_or_yaml(description: dict[str, Any]) -> None:
    body = description["paths"]["/v1/personas"]["post"]["requestBody"]

    assert set(body["content"]) == {"application/json", "application/yaml"}
