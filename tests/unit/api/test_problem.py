"""Which error is which answer, and what the sentence says."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import pytest
from pydantic import ValidationError

from domain.errors import InvalidInput, NotFound, StoreUnavailable, VersionConflict, VivavoceError
from domain.ids import StreamId
from ops.api.models import CreateConversation
from ops.api.problem import MISTAKES_MAX, ApiProblem, from_error, from_mistakes


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("there is no such persona"), 404, "not_found"),
        (InvalidInput("the name is empty"), 422, "invalid_input"),
        (VersionConflict(StreamId("s"), expected=1, actual=2), 409, "version_conflict"),
        (StoreUnavailable("Postgres did not answer"), 503, "store_unavailable"),
        (ApiProblem(HTTPStatus.GONE, "too_late", "It is too late."), 410, "too_late"),
        (VivavoceError("something else"), 500, "error"),
    ],
)
def test_each_kind_of_error_has_its_status(error: VivavoceError, status: int, code: str) -> None:
    response = from_error(error)

    body = json.loads(bytes(response.body))
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    assert body["detail"][0].isupper()
    assert body["detail"].endswith(".")
    assert "errors" not in body


def test_only_what_may_succeed_later_says_when_to_ask_again() -> None:
    assert from_error(StoreUnavailable("away")).headers["retry-after"] == "1"
    assert "retry-after" not in from_error(NotFound("no")).headers


def test_an_error_nobody_planned_does_not_tell_its_text() -> None:
    assert b"something else" not in bytes(from_error(VivavoceError("something else")).body)


def _mistakes(**fields: Any) -> dict[str, Any]:
    with pytest.raises(ValidationError) as refused:
        CreateConversation.model_validate(fields)
    body: dict[str, Any] = json.loads(bytes(from_mistakes(refused.value.errors()).body))
    return body


def test_unknown_fields_are_named_in_one_sentence() -> None:
    one = _mistakes(persona_id="7c2d2b50-9f3e-4a35-a1de-2f6d3a5b9c10", pet="cat")
    two = _mistakes(persona_id="7c2d2b50-9f3e-4a35-a1de-2f6d3a5b9c10", pet="cat", car="van")

    assert one["detail"].startswith("pet is no field of this request")
    assert two["detail"].startswith("pet, car are no fields of this request")


def test_what_was_sent_is_not_repeated() -> None:
    body = _mistakes(persona_id="Grace Hopper", custom_greeting="x" * 2000)

    assert "Grace" not in json.dumps(body)
    assert "xxx" not in json.dumps(body)


def test_a_body_of_a_thousand_mistakes_is_answered_with_the_first_few() -> None:
    body = _mistakes(**{f"field_{number}": 1 for number in range(1000)})

    assert len(body["errors"]) == MISTAKES_MAX
    assert len(body["detail"]) < 1000
