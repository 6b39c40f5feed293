"""What a batch must be before it is sent: checked the same way by every event store."""

from __future__ import annotations

from collections.abc import Sequence

from domain.errors import InvalidInput
from domain.events.catalogue import ConversationSealed
from domain.events.envelope import NewEvent
from domain.events.payload import Payload
from domain.events.schema import Schema
from domain.ports import BATCH_EVENTS_MAX, Expected

# A prompt of sixty lines with its passages is a tenth of it.
PAYLOAD_BYTES_MAX = 262_144


class InvalidBatch(InvalidInput):
    """The batch could never be stored, however often it is sent."""

    code = "invalid_batch"


def check_batch(events: Sequence[NewEvent[Payload]], *, expected: Expected, epoch: int) -> None:
    """Raises InvalidBatch."""
    if not 1 <= len(events) <= BATCH_EVENTS_MAX:
        raise InvalidBatch(f"a batch holds 1 to {BATCH_EVENTS_MAX} events, not {len(events)}")
    if len({event.event_id for event in events}) != len(events):
        raise InvalidBatch("an event id stands twice in one batch")
    if any(isinstance(event.payload, ConversationSealed) for event in events[:-1]):
        raise InvalidBatch("nothing follows a seal: it must be the last event of its batch")
    if any(event.occurred_at.tzinfo is None for event in events):
        raise InvalidBatch("occurred_at must say its time zone")
    if epoch < 0 or (isinstance(expected, int) and expected < 1):
        raise InvalidBatch("an epoch counts from 0 and an expected version from 1; no stream is 'no_stream'")


def encode_payloads(events: Sequence[NewEvent[Payload]], schema: Schema) -> list[bytes]:
    """The bytes to store. Raises InvalidBatch for a payload above PAYLOAD_BYTES_MAX."""
    encoded = [schema.encode(event.payload) for event in events]
    for event, stored in zip(events, encoded, strict=True):
        if len(stored) > PAYLOAD_BYTES_MAX:
            raise InvalidBatch(
                f"the payload of {event.payload.type} takes {len(stored)} bytes,"
                f" and {PAYLOAD_BYTES_MAX} are the most"
            )
    return encoded
