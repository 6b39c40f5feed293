"""Whether every event of a stream says why it is there (docs/architecture.md, "Why an event is there")."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.events.envelope import RecordedEvent
from domain.events.payload import Payload

SENTENCE_FATES = ("sentence.synthesised", "sentence.played", "sentence.interrupted")
MAY_FOLLOW: dict[str, tuple[str, ...]] = {
    "media.assigned": ("conversation.requested", "media.lost"),
    "media.unavailable": ("conversation.requested", "media.lost"),
    "media.lost": ("media.assigned",),
    "media.connected": ("media.assigned",),
    "media.disconnected": ("media.connected",),
    "participant.joined": ("media.connected",),
    "participant.left": ("media.connected", "media.assigned"),
    "recording.segment_sealed": ("media.connected", "media.assigned"),
    "conversation.started": ("media.connected", "media.assigned"),
    "conversation.ended": (
        *("conversation.requested", "conversation.started", "participant.left", "guardrail.evaluated"),
        *("media.assigned", "media.connected", "media.disconnected", "media.lost", "media.unavailable"),
        *("utterance.transcribed", "sentence.played"),
    ),
    "conversation.sealed": ("conversation.ended",),
    "floor.changed": ("media.connected", "floor.changed", "utterance.transcribed", *SENTENCE_FATES),
    "utterance.transcribed": ("floor.changed", "media.connected"),
    "retrieval.performed": ("utterance.transcribed",),
    "prompt.assembled": ("utterance.transcribed",),
    "reply.generated": ("utterance.transcribed", "prompt.assembled", "guardrail.evaluated"),
    "guardrail.evaluated": (
        *("media.connected", "utterance.transcribed", "prompt.assembled", "guardrail.evaluated"),
    ),
    "sentence.committed": ("guardrail.evaluated",),
    "handoff.requested": ("guardrail.evaluated",),
    **dict.fromkeys(SENTENCE_FATES, ("sentence.committed",)),
    "disclosure.presented": ("sentence.played",),
}


@dataclass(frozen=True, slots=True)
class Link:
    """An event as far as its cause goes."""

    type: str
    event_id: UUID
    cause: UUID | None


def links(events: Iterable[RecordedEvent[Payload]]) -> list[Link]:
    return [Link(event.payload.type, event.event_id, event.causation_id) for event in events]


def shown_links(events: Iterable[Mapping[str, Any]]) -> list[Link]:
    """The same of events as `vivavoce conversation events` shows them."""
    return [
        Link(
            event["type"],
            UUID(event["event_id"]),
            None if event["causation_id"] is None else UUID(event["causation_id"]),
        )
        for event in events
    ]


def unexplained(stream: Iterable[Link], *, commands: Collection[UUID] = ()) -> list[str]:
    """The events of a stream, in its order, whose cause is missing, stands later or elsewhere, or is of a
    kind that they do not follow from. An end may follow from one of the `commands`."""
    earlier: dict[UUID, str] = {}
    wrong: list[str] = []
    for place, link in enumerate(stream, 1):
        ordered = link.type == "conversation.ended" and link.cause in commands
        first = place == 1 and link.type == "conversation.requested" and link.cause is None
        known = None if link.cause is None else earlier.get(link.cause)
        if not (ordered or first or known in MAY_FOLLOW.get(link.type, ())):
            wrong.append(f"{place} {link.type} <- {known}")
        earlier[link.event_id] = link.type
    return wrong
