"""A conversation from its request to its seal, on a real Temporal server and a real Postgres."""

from __future__ import annotations

from uuid import uuid4

from domain.conversation.state import Status
from domain.events.catalogue import ConversationEnded, ConversationSealed, EndReason, MediaAssigned
from tests.fakes.media_host import FakeMediaHost
from tests.temporal_fixtures import World, eventually


async def test_a_call_is_recorded_from_request_to_seal(running: World, host: FakeMediaHost) -> None:
    conversation_id = await running.start()

    session = await running.live(host, conversation_id)
    assert (await running.status(conversation_id)).status is Status.LIVE
    host.hang_up(session)
    outcome = await running.outcome(conversation_id)

    assert outcome.status is Status.SEALED
    assert outcome.end_reason is EndReason.PARTICIPANT_HUNG_UP
    events = await running.events(conversation_id)
    assert [event.payload.type for event in events] == [
        "conversation.requested",
        "media.assigned",
        "media.connected",
        "conversation.started",
        "conversation.ended",
        "conversation.sealed",
    ]
    assert [event.session_epoch for event in events] == [0, 1, 1, 1, 2, 2]
    seal = events[-1].payload
    assert isinstance(seal, ConversationSealed)
    assert (seal.count, seal.capture, seal.gaps) == (5, "complete", ())
