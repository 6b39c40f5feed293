"""The scribe: order, durability, and what happens when the store is away or refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from uuid import uuid4

import pytest

from domain.errors import StaleEpoch, StoreUnavailable
from domain.events.catalogue import FloorChanged, FloorState
from domain.events.envelope import Actor, ActorKind, NewEvent
from domain.events.payload import Payload
from domain.ids import ConversationId, StreamId, TenantId, conversation_stream
from domain.ports import Appended, Expected
from media import scribe as scribe_module
from media.errors import RecordBacklogFull
from media.scribe import RETRY_S_MAX, RETRY_S_MIN, Scribe
from tests.fakes.event_store import InMemoryEventStore
from tests.virtual_time import in_virtual_time, virtual_loop

TENANT = TenantId(uuid4())
STREAM = conversation_stream(ConversationId(uuid4()))


def fact(reason: str) -> FloorChanged:
    return FloorChanged(state=FloorState.LISTENING, reason=reason)


class Slow(InMemoryEventStore):
    """Appends only when it may; counts the calls, and can lose an answer after it has stored."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()
        self.calls = 0
        self.called = asyncio.Event()
        self.lose_answers = 0

    async def append(
        self,
        tenant_id: TenantId,
        stream_id: StreamId,
        events: Sequence[NewEvent[Payload]],
        *,
        expected: Expected,
        epoch: int,
    ) -> Appended:
        self.calls += 1
        self.called.set()
        await self.may.wait()
        stored = await super().append(tenant_id, stream_id, events, expected=expected, epoch=epoch)
        if self.lose_answers:
            self.lose_answers -= 1
            raise StoreUnavailable("the answer was lost")
        return stored


class Rig:
    def __init__(self, store: Slow, *, epoch: int = 1) -> None:
        self.store = store
        self.noted: list[str] = []
        self.full = asyncio.Event()
        self.scribe = Scribe(
            store,
            TENANT,
            STREAM,
            epoch=epoch,
            version=0,
            actor=Actor(kind=ActorKind.MEDIA_WORKER, id="w"),
            now=lambda: datetime.now(UTC),
            noted=lambda event: self.noted.append(reason(event)),
            full=self.full.set,
        )

    async def stored(self) -> list[str]:
        return [reason(event) for event in await self.store.read(TENANT, STREAM)]


def reason(event: NewEvent[Payload]) -> str:
    assert isinstance(event.payload, FloorChanged)
    return event.payload.reason


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.ensure_future(rig.scribe.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_what_waits_is_appended_in_one_batch_and_in_its_order() -> None:
    # Given a store that is busy with the first fact
    rig = Rig(Slow())
    async with running(rig):
        rig.scribe.note(fact("1"))
        await rig.store.called.wait()
        # When more come meanwhile
        for k in range(2, 50):
            rig.scribe.note(fact(str(k)))
        rig.store.may.set()
        version = await rig.scribe.flush()

    # Then two round trips stored all of them, in the order in which they were noted
    assert await rig.stored() == rig.noted == [str(k) for k in range(1, 50)]
    assert (rig.store.calls, version, rig.scribe.last_version) == (2, 49, 49)


async def test_a_commit_returns_only_when_it_is_durable() -> None:
    # Given a store that does not answer yet, when a sentence is committed
    rig = Rig(Slow())
    async with running(rig):
        committing = asyncio.ensure_future(rig.scribe.commit([fact("verdict"), fact("sentence")]))
        await rig.store.called.wait()

        # Then it waits, and returns once the store has it
        assert not committing.done()
        rig.store.may.set()
        await committing
        assert await rig.stored() == ["verdict", "sentence"]


async def test_what_is_committed_together_follows_from_the_first_of_it() -> None:
    # Given a fact, when a verdict that follows from it and two consequences are committed together
    rig = Rig(Slow())
    rig.store.may.set()
    async with running(rig):
        prompt = rig.scribe.note(fact("prompt"))
        verdict, *_ = await rig.scribe.commit(
            [fact("verdict"), fact("handoff"), fact("sentence")], cause=prompt
        )

    # Then the verdict follows from the fact and the consequences from the verdict
    causes = {reason(event): event.causation_id for event in await rig.store.read(TENANT, STREAM)}
    assert causes == {"prompt": None, "verdict": prompt, "handoff": verdict, "sentence": verdict}


async def test_a_lost_answer_does_not_store_anything_twice() -> None:
    # Given a store whose first two answers are lost after it stored
    rig = Rig(Slow())
    rig.store.may.set()
    rig.store.lose_answers = 2
    async with running(rig):
        # When a sentence is committed, then it is there once
        await rig.scribe.commit([fact("once")])
    assert await rig.stored() == ["once"]
    assert rig.store.calls == 3


async def test_while_the_store_is_away_facts_wait_and_come_in_order_when_it_is_back() -> None:
    # Given a store that is away
    rig = Rig(Slow())
    rig.store.may.set()
    rig.store.down = True
    async with running(rig):
        for k in range(5):
            rig.scribe.note(fact(str(k)))
        await rig.store.called.wait()
        await asyncio.sleep(0)
        assert rig.scribe.store_away

        # When it is back, then everything is stored
        rig.store.down = False
        assert await rig.scribe.flush() == 5
    assert await rig.stored() == [str(k) for k in range(5)]
    assert not rig.scribe.store_away


class Away(Slow):
    """Notes when it was asked, and is away for the first ten times."""

    def __init__(self) -> None:
        super().__init__()
        self.may.set()
        self.asked_s: list[float] = []

    async def append(
        self,
        tenant_id: TenantId,
        stream_id: StreamId,
        events: Sequence[NewEvent[Payload]],
        *,
        expected: Expected,
        epoch: int,
    ) -> Appended:
        self.asked_s.append(virtual_loop().time())
        self.down = len(self.asked_s) <= 10
        return await super().append(tenant_id, stream_id, events, expected=expected, epoch=epoch)


@in_virtual_time
async def test_a_store_that_is_away_is_asked_less_and_less_often_down_to_a_limit() -> None:
    # Given a store that is away for ten attempts, when a sentence is committed
    store = Away()
    rig = Rig(store)
    async with running(rig):
        await rig.scribe.commit([fact("sentence")])

    # Then the pauses grow up to the limit and stay there, so that it is found soon after it is back
    pauses = [round(later - sooner, 6) for sooner, later in pairwise(store.asked_s)]
    assert pauses[:2] == [RETRY_S_MIN, 2 * RETRY_S_MIN]
    assert pauses == sorted(pauses)
    assert pauses[-5:] == [RETRY_S_MAX] * 5


async def test_at_the_bound_the_session_is_told_once_and_no_sentence_may_be_spoken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given room for three facts and a store that is away
    monkeypatch.setattr(scribe_module, "EVENTS_WAITING_MAX", 3)
    rig = Rig(Slow())
    async with running(rig):
        for k in range(3):
            rig.scribe.note(fact(str(k)))
        assert not rig.full.is_set()

        # When more come, then they are refused whole, and so is every commit from then on
        rig.scribe.note(fact("too much"))
        assert rig.full.is_set()
        with pytest.raises(RecordBacklogFull):
            await rig.scribe.commit([fact("sentence")])

        # And what was taken is stored without a hole, also when there would be room again
        rig.store.may.set()
        await rig.scribe.flush()
        rig.scribe.note(fact("after"))
        await rig.scribe.flush()
    assert await rig.stored() == ["0", "1", "2"]
    assert rig.scribe.refused == 3


async def test_a_later_owner_ends_the_writer() -> None:
    # Given a stream that a later epoch owns
    rig = Rig(Slow())
    rig.store.may.set()
    later = Rig(rig.store, epoch=2)
    async with running(later):
        await later.scribe.commit([fact("mine now")])

    # When the older owner writes, then its writer ends with what the store said, and nothing is stored
    async with running(rig) as writer:
        rig.scribe.note(fact("late"))
        await asyncio.wait({writer})
        assert isinstance(writer.exception(), StaleEpoch)
    assert await rig.stored() == ["mine now"]
