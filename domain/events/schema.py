"""From stored bytes to payload classes: names, schema versions and upcasters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from domain.errors import UnknownEventType
from domain.events.canonical import Json, canonical_bytes
from domain.events.catalogue import (
    ALL_PAYLOADS,
    RecordingSegmentSealed,
    ReplyGenerated,
    RetrievalOutcome,
    RetrievalPerformed,
)
from domain.events.payload import Payload

Content = dict[str, Json]
# Takes the content of one schema version and returns that of the next.
Upcaster = Callable[[Content], Content]


class Schema:
    """Reads every schema version that was ever stored; writes only the newest.

    `upcasters[type, n]` turns the content of version n into that of n + 1; there must be one for each
    version below the newest, which is checked here rather than at the first old event.
    """

    def __init__(
        self, payloads: Iterable[type[Payload]], upcasters: Mapping[tuple[str, int], Upcaster] | None = None
    ) -> None:
        self._upcasters = dict(upcasters or {})
        self._payloads: dict[str, type[Payload]] = {}
        for payload in payloads:
            if payload.type in self._payloads:
                raise ValueError(f"two payload classes are named {payload.type}")
            self._payloads[payload.type] = payload
            for version in range(1, payload.schema_version):
                if (payload.type, version) not in self._upcasters:
                    raise ValueError(f"{payload.type} has no upcaster from schema version {version}")

    def encode(self, payload: Payload) -> bytes:
        """The bytes to store, which every digest is taken of."""
        return canonical_bytes(payload.to_json())

    def decode(self, event_type: str, schema_version: int, stored: bytes) -> Payload:
        """Raises UnknownEventType for a name or a version from another release."""
        payload = self._payloads.get(event_type)
        if payload is None or not 1 <= schema_version <= payload.schema_version:
            raise UnknownEventType(event_type, schema_version)
        content: Content = json.loads(stored)
        for version in range(schema_version, payload.schema_version):
            content = self._upcasters[event_type, version](content)
        return payload.model_validate_json(json.dumps(content))


def _retrieval_with_outcome(content: Content) -> Content:
    """An outage was recorded as nothing found, so which of the two it was cannot be known any more."""
    outcome = RetrievalOutcome.FOUND if content["passages"] else RetrievalOutcome.UNKNOWN
    return {**content, "outcome": outcome.value, "attempts": 1}


def _segment_of_a_living_worker(content: Content) -> Content:
    """Only whoever had written a segment to its end recorded it."""
    return {**content, "cut": False}


def _unchanged(content: Content) -> Content:
    return content


SCHEMA = Schema(
    ALL_PAYLOADS,
    {
        (RecordingSegmentSealed.type, 1): _segment_of_a_living_worker,
        (RetrievalPerformed.type, 1): _retrieval_with_outcome,
        # The second version knows of replies that were cut at their greatest length.
        (ReplyGenerated.type, 1): _unchanged,
    },
)
