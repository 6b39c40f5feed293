"""From a live session to its workflow: facts in numbered batches, no more than five a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

import structlog

from domain.conversation.lifecycle import (
    coalesce,
)
from domain.errors import Unavailable
from domain.ports import Fact
from workflows.contracts import MediaFacts

log = structlog.get_logger()

# The shortest time between two batches. What happens in between is put together.
BATCH_INTERVAL_S = 0.2
RETRY_FIRST_S = 0.2
RETRY_MAX_S = 2.0
# A session that has nothing to say asks now and then whether its conversation still has a workflow.
ALIVE_CHECK_S = 15.0


class ConversationGone(Exception):
    """No workflow runs for this conversation any more."""


class FactReceiver(Protocol):
    """The workflow of one conversation, as its media session sees it."""

    async def deliver(self, batch: MediaFacts) -> None:
        """Raises ConversationGone, or Unavailable when it is not known whether the batch arrived."""
        ...

    async def check(self) -> None:
        """Raises ConversationGone when no workflow runs for it, Unavailable without an answer."""
        ...


class FactPublisher:
    """One for each media session. `report` is for the event loop's own thread and never waits.

    At most one batch is on its way. It is sent again under its number until it arrives; what comes
    meanwhile is coalesced to at most FACTS_PENDING_MAX facts.
    """

    def __init__(
        self,
        receiver: FactReceiver,
        *,
        epoch: int,
        publisher: UUID,
        on_gone: Callable[[], None],
        alive_check_s: float = ALIVE_CHECK_S,
    ) -> None:
        self._receiver, self._epoch, self._publisher = receiver, epoch, publisher
        self._on_gone, self._alive_check_s = on_gone, alive_check_s
        self._pending: tuple[Fact, ...] = ()
        self._sending: MediaFacts | None = None
        self._sequence = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._gone = False

    def report(self, fact: Fact) -> None:
        if self._gone:
            return
        self._pending = coalesce(self._pending, fact)
        self._idle.clear()
        self._wake.set()

    async def run(self) -> None:
        """Sends until it is cancelled or the conversation is gone; then it calls `on_gone` and returns."""
        try:
            while True:
                try:
                    await asyncio.wait_for(self._wake.wait(), self._alive_check_s)
                except TimeoutError:
                    await self._check()
                    continue
                self._wake.clear()
                await self._send(self._next_batch())
                await asyncio.sleep(BATCH_INTERVAL_S)
        except ConversationGone:
            self._gone, self._pending, self._sending = True, (), None
            self._idle.set()
            self._on_gone()

    async def flush(self, within_s: float) -> None:
        """Waits until everything reported has arrived, at most `within_s`."""
        try:
            await asyncio.wait_for(self._idle.wait(), within_s)
        except TimeoutError:
            log.warning("facts.undelivered", facts=len(self._pending), epoch=self._epoch)

    def undelivered(self) -> tuple[MediaFacts, ...]:
        """What has not arrived for certain, numbered as it was or would have been sent. Call it after `run`
        has ended; the workflow drops what it has seen."""
        rest = () if self._sending is None else (self._sending,)
        return rest if not self._pending else (*rest, self._next_batch())

    def _next_batch(self) -> MediaFacts:
        self._sequence += 1
        facts, self._pending = self._pending, ()
        return MediaFacts(epoch=self._epoch, publisher=self._publisher, sequence=self._sequence, facts=facts)

    async def _send(self, batch: MediaFacts) -> None:
        self._sending = batch
        pause = RETRY_FIRST_S
        while True:
            try:
                await self._receiver.deliver(batch)
                break
            except Unavailable:
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_MAX_S)
        self._sending = None
        if not self._pending:
            self._idle.set()

    async def _check(self) -> None:
        try:
            await self._receiver.check()
        except Unavailable:
            # Silence of the server is no news of the workflow; the next check asks again.
            log.warning("conversation.check_unanswered", epoch=self._epoch)
