"""A call's start follows from the connection that began it, where that stands in the log."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from activities.conversations import ConversationActivities
from domain.events.catalogue import MediaConnected
from domain.ids import ConversationId, EventId, ParticipantId, TenantId, conversation_stream
from tests.fakes.event_store import InMemoryEventStore
from tests.fakes.events import assigned, new_event, requested
from workflows.contracts import AppendStarted

TENANT = TenantId(uuid4())


@pytest.mark.parametrize("connected_stands", [True, False])
async def test_a_start_never_names_an_event_that_is_not_there_yet(connected_stands: bool) -> None:
    # Given a call whose connection was reported before, or after, the log had it
    store, conversation_id = InMemoryEventStore(), ConversationId(uuid4())
    stream, placed = conversation_stream(conversation_id), assigned()
    connected = new_event(MediaConnected(participant_id=ParticipantId(uuid4()), connection=1))
    await store.append(TENANT, stream, [requested()], expected="no_stream", epoch=0)
    await store.append(TENANT, stream, [placed], expected="any", epoch=1)
    if connected_stands:
        await store.append(TENANT, stream, [connected], expected="any", epoch=1)

    # When its start is recorded
    request = AppendStarted(
        tenant_id=TENANT,
        conversation_id=conversation_id,
        epoch=1,
        event_id=EventId(uuid4()),
        occurred_at=datetime.now(UTC),
        cause=connected.event_id,
    )
    await ConversationActivities(store).append_started(request)

    # Then it follows from the connection, or from the assignment that made it possible
    started = (await store.read(TENANT, stream))[-1]
    assert started.event_id == request.event_id
    assert started.causation_id == (connected if connected_stands else placed).event_id
