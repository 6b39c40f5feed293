"""A long call is many runs of one workflow, and nobody in the call notices."""

from __future__ import annotations

from uuid import uuid4

from domain.conversation.state import Status
from domain.ports import Fact, FactKind
from tests.fakes.media_host import FakeMediaHost
from tests.temporal_fixtures import World, eventually
from workflows.contracts import SIGNAL_FACTS, MediaFacts

EVERY = 20


async def _runs(world: World, conversation_id: object) -> int:
    query = f"WorkflowId = '{conversation_id}'"
    return len([one async for one in world.client.list_workflows(query)])


async def test_a_call_that_continues_as_new_keeps_its_media_session(
    running: World, host: FakeMediaHost
) -> None:
    conversation_id = await running.start(continue_after_messages=EVERY)
    session = await running.live(host, conversation_id)
    command_id, publisher = uuid4(), uuid4()

    for sequence in range(1, 3 * EVERY + 6):
        batch = MediaFacts(epoch=1, publisher=publisher, sequence=sequence, facts=(Fact(FactKind.ACTIVITY),))
        await running.handle(conversation_id).signal(SIGNAL_FACTS, batch)

    async def many() -> bool:
        return await _runs(running, conversation_id) >= 4

    await eventually(many)
    status = await running.status(conversation_id)
    assert (status.status, status.epoch, status.media_sessions) == (Status.LIVE, 1, 1)
    assert not session.drain.is_set()
    assert len(host.sessions) == 1
    await running.end(conversation_id, command_id)
    await running.outcome(conversation_id)
    types = await running.types(conversation_id)
    assert [types.count(each) for each in ("media.assigned", "media.lost", "conversation.started")] == [
        1,
        0,
        1,
    ]


async def test_a_batch_that_comes_again_in_a_later_run_is_dropped(
    running: World, host: FakeMediaHost
) -> None:
    conversation_id = await running.start(continue_after_messages=EVERY, participant_left_timeout=600)
    await running.live(host, conversation_id)
    publisher = uuid4()

    async def send(sequence: int, kind: FactKind) -> None:
        batch = MediaFacts(epoch=1, publisher=publisher, sequence=sequence, facts=(Fact(kind),))
        await running.handle(conversation_id).signal(SIGNAL_FACTS, batch)

    await send(1, FactKind.PARTICIPANT_DISCONNECTED)
    await send(2, FactKind.PARTICIPANT_CONNECTED)
    for sequence in range(3, EVERY + 3):
        await send(sequence, FactKind.ACTIVITY)

    async def continued() -> bool:
        return await _runs(running, conversation_id) >= 2

    await eventually(continued)
    await send(1, FactKind.PARTICIPANT_DISCONNECTED)

    assert (await running.status(conversation_id)).connected
    await send(EVERY + 3, FactKind.PARTICIPANT_DISCONNECTED)
    assert not (await running.status(conversation_id)).connected
