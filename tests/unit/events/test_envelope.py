"""The header that a seal and a proof commit to."""

from __future__ import annotations

from uuid import uuid4

import pytest

from domain.events.envelope import Classification, RecordedEvent
from domain.events.payload import Payload
from domain.ids import TenantId
from tests.fakes.event_store import InMemoryEventStore
from tests.fakes.events import new_stream, said, started


@pytest.fixture
async def recorded() -> RecordedEvent[Payload]:
    store, tenant, stream = InMemoryEventStore(), TenantId(uuid4()), new_stream()
    await store.append(tenant, stream, [said("words that stay out of it")], expected="any", epoch=3)
    [event] = await store.read(tenant, stream)
    return event


def test_the_header_says_everything_but_the_payload(recorded: RecordedEvent[Payload]) -> None:
    header = recorded.header()

    assert "words that stay out of it" not in str(header)
    assert header["payload_sha256"] == recorded.payload_sha256
    assert (header["version"], header["session_epoch"], header["type"]) == (1, 3, "text.injected")
    assert set(header) == {
        *("actor", "causation_id", "classification", "correlation_id", "event_id", "media_ms", "occurred_at"),
        *("payload_sha256", "recorded_at", "schema_version", "session_epoch", "stream_id", "tenant_id"),
        *("type", "version"),
    }


def test_a_payload_that_is_judged_otherwise_later_does_not_change_the_header(
    recorded: RecordedEvent[Payload],
) -> None:
    judged = recorded.model_copy(update={"stored_classification": Classification.BIOMETRIC})

    assert judged.header()["classification"] == "biometric"


def test_an_event_is_as_personal_as_its_payload() -> None:
    assert said().classification is Classification.PERSONAL
    assert started().classification is Classification.PUBLIC
