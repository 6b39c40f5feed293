"""Old events stay readable: names and shapes that were stored once are understood for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import pytest

from domain.errors import UnknownEventType
from domain.events.catalogue import (
    ALL_PAYLOADS,
    ConversationPayload,
    RetrievalOutcome,
    RetrievalPerformed,
)
from domain.events.payload import Payload
from domain.events.schema import SCHEMA, Content, Schema

# One stored payload for each event and each schema version that was ever released, in canonical bytes.
STORED = [
    json.loads(line) for line in (Path(__file__).parent / "stored_payloads.ndjson").read_text().splitlines()
]


class Greeted(Payload):
    type: ClassVar[str] = "tests.greeted"
    schema_version: ClassVar[int] = 3
    words: tuple[str, ...]
    language: str


def words_of_text(content: Content) -> Content:
    """From version 1, which held one text."""
    return {"words": str(content["text"]).split()}


def with_language(content: Content) -> Content:
    return {**content, "language": "en"}


UPCASTERS = {("tests.greeted", 1): words_of_text, ("tests.greeted", 2): with_language}


@pytest.mark.parametrize(
    ("schema_version", "stored"),
    [
        (1, b'{"text":"good morning"}'),
        (2, b'{"words":["good","morning"]}'),
        (3, b'{"language":"en","words":["good","morning"]}'),
    ],
)
def test_every_schema_version_is_read_as_the_newest(schema_version: int, stored: bytes) -> None:
    schema = Schema([Greeted], UPCASTERS)

    payload = schema.decode("tests.greeted", schema_version, stored)

    assert payload == Greeted(words=("good", "morning"), language="en")


def test_only_the_newest_schema_version_is_written() -> None:
    schema = Schema([Greeted], UPCASTERS)

    assert schema.encode(Greeted(words=("hi",), language="en")) == b'{"language":"en","words":["hi"]}'


def test_a_missing_upcaster_is_found_before_the_first_old_event() -> None:
    with pytest.raises(ValueError, match=r"tests\.greeted has no upcaster from schema version 2"):
        Schema([Greeted], {("tests.greeted", 1): words_of_text})


def test_one_name_is_not_used_for_two_facts() -> None:
    class Welcomed(Payload):
        type: ClassVar[str] = "tests.greeted"

    with pytest.raises(ValueError, match=r"two payload classes are named tests\.greeted"):
        Schema([Greeted, Welcomed], UPCASTERS)


@pytest.mark.parametrize(
    ("event_type", "schema_version"), [("tests.unheard", 1), ("tests.greeted", 4), ("tests.greeted", 0)]
)
def test_an_event_of_another_release_is_refused_by_name(event_type: str, schema_version: int) -> None:
    with pytest.raises(UnknownEventType) as refused:
        Schema([Greeted], UPCASTERS).decode(event_type, schema_version, b"{}")

    assert (refused.value.event_type, refused.value.schema_version) == (event_type, schema_version)


@pytest.mark.parametrize("stored", STORED, ids=lambda stored: f"{stored['type']} {stored['schema_version']}")
def test_what_was_stored_is_read_and_written_again_unchanged(stored: dict[str, object]) -> None:
    content = json.dumps(stored["payload"], ensure_ascii=False).encode()

    payload = SCHEMA.decode(str(stored["type"]), int(str(stored["schema_version"])), content)

    assert payload.type == stored["type"]
    if payload.schema_version == stored["schema_version"]:
        # Byte for byte but for fields that were added with a default since.
        assert json.loads(SCHEMA.encode(payload)).items() >= dict(stored["payload"]).items()  # type: ignore[call-overload]


def test_every_event_of_the_catalogue_has_a_stored_example_of_each_schema_version() -> None:
    examples = {(stored["type"], stored["schema_version"]) for stored in STORED}

    wanted = {
        (payload.type, version)
        for payload in ALL_PAYLOADS
        for version in range(1, payload.schema_version + 1)
    }
    assert wanted - examples == set()


def test_an_unknown_field_in_a_stored_payload_does_not_pass_unnoticed() -> None:
    with pytest.raises(ValueError, match="extra"):
        SCHEMA.decode("conversation.started", 1, b'{"surprise":1}')


def test_names_are_dotted_and_stable_and_fit_their_column() -> None:
    for payload in ALL_PAYLOADS:
        room, _, fact = payload.type.partition(".")
        assert room.isidentifier(), payload.type
        assert fact.isidentifier(), payload.type
        assert len(payload.type) <= 64


def test_every_event_of_a_conversation_is_in_the_catalogue() -> None:
    assert set(ConversationPayload.__args__) <= set(ALL_PAYLOADS)


@pytest.mark.parametrize(
    ("passages", "outcome"),
    [
        ([], RetrievalOutcome.UNKNOWN),
        ([{"document_id": str(UUID(int=1)), "chunk_id": str(UUID(int=2)), "score": 0.5, "rank": 1}], "found"),
    ],
)
def test_an_old_retrieval_does_not_claim_to_know_what_it_did_not_record(
    passages: list[dict[str, object]], outcome: str
) -> None:
    old = {
        "turn_id": str(UUID(int=3)),
        "knowledge_revision": "0" * 64,
        "strategy": "balanced",
        "passages": passages,
        "took_ms": 1000.0,
    }

    read = SCHEMA.decode("retrieval.performed", 1, json.dumps(old).encode())

    assert isinstance(read, RetrievalPerformed)
    assert (read.outcome, read.attempts) == (outcome, 1)
