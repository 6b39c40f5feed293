"""From a live session to its workflow: numbered batches, repeated until they arrive, and few of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from uuid import UUID

from activities.fact_publisher import BATCH_INTERVAL_S, ConversationGone, FactPublisher
from domain.conversation.lifecycle import (
    FACTS_PENDING_MAX,
)
from domain.errors import Unavailable
from domain.ports import Fact, FactKind
from workflows.contracts import MediaFacts

PUBLISHER = UUID(int=9)
CONNECTED, GONE = Fact(FactKind.PARTICIPANT_CONNECTED), Fact(FactKind.PARTICIPANT_DISCONNECTED)
SPOKE = Fact(FactKind.ACTIVITY)


class FakeReceiver:
    """Takes batches; `answers` are what it does with the next ones instead."""

    def __init__(self) -> None:
        self.delivered: list[MediaFacts] = []
        self.tried: list[int] = []
        self.at: list[float] = []
        self.answers: list[Exception] = []
        self.closed = False
        self.checked = asyncio.Event()

    async def deliver(self, batch: MediaFacts) -> None:
        self.tried.append(batch.sequence)
        self.at.append(time.monotonic())
        if self.closed:
            raise ConversationGone
        if self.answers:
            raise self.answers.pop(0)
        self.delivered.append(batch)

    async def check(self) -> None:
        self.checked.set()
        if self.closed:
            raise ConversationGone


def _publisher(receiver: FakeReceiver, on_gone: Callable[[], None] = lambda: None) -> FactPublisher:
    return FactPublisher(receiver, epoch=3, publisher=PUBLISHER, on_gone=on_gone)


async def test_batches_are_numbered_and_no_closer_than_their_interval() -> None:
    receiver = FakeReceiver()
    publisher = _publisher(receiver)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(publisher.run())
        publisher.report(CONNECTED)
        await publisher.flush(1)
        for _ in range(50):
            publisher.report(SPOKE)
        await publisher.flush(2)
        running.cancel()

    assert [(batch.sequence, batch.facts) for batch in receiver.delivered] == [
        (1, (CONNECTED,)),
        (2, (SPOKE,)),
    ]
    assert {(batch.epoch, batch.publisher) for batch in receiver.delivered} == {(3, PUBLISHER)}
    assert receiver.at[1] - receiver.at[0] >= BATCH_INTERVAL_S * 0.95


async def test_a_batch_that_may_not_have_arrived_is_sent_again_under_its_number() -> None:
    receiver = FakeReceiver()
    receiver.answers = [Unavailable("no answer"), Unavailable("no answer")]
    publisher = _publisher(receiver)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(publisher.run())
        publisher.report(CONNECTED)
        await publisher.flush(3)
        running.cancel()

    assert receiver.tried == [1, 1, 1]
    assert [batch.sequence for batch in receiver.delivered] == [1]


async def test_while_the_server_is_away_facts_stay_few_and_come_back_with_the_result() -> None:
    receiver = FakeReceiver()
    receiver.answers = [Unavailable("no answer")] * 100
    publisher = _publisher(receiver)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(publisher.run())
        publisher.report(CONNECTED)
        await publisher.flush(0.05)
        for _ in range(100):
            publisher.report(GONE)
            publisher.report(SPOKE)
            publisher.report(CONNECTED)
        running.cancel()

    first, second = publisher.undelivered()
    assert (first.sequence, first.facts) == (1, (CONNECTED,))
    assert second.sequence == 2
    assert len(second.facts) <= FACTS_PENDING_MAX


async def test_a_conversation_that_is_gone_is_told_of_once_and_nothing_waits_for_it() -> None:
    receiver, gone = FakeReceiver(), asyncio.Event()
    receiver.closed = True
    publisher = _publisher(receiver, gone.set)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(publisher.run())
        publisher.report(CONNECTED)
        await asyncio.wait_for(gone.wait(), 2)
        publisher.report(SPOKE)
        await publisher.flush(1)

    assert receiver.tried == [1]
    assert publisher.undelivered() == ()


async def test_a_silent_session_asks_whether_its_conversation_is_still_there() -> None:
    receiver, gone = FakeReceiver(), asyncio.Event()
    publisher = FactPublisher(receiver, epoch=3, publisher=PUBLISHER, on_gone=gone.set, alive_check_s=0.02)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(publisher.run())
        await asyncio.wait_for(receiver.checked.wait(), 2)
        assert not gone.is_set()
        receiver.closed = True
        await asyncio.wait_for(gone.wait(), 2)

    assert receiver.tried == []
