"""One whole call: invite, join, talk, hang up, wait for the seal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from domain.conversation.state import Status
from domain.ids import ConversationId, PersonaId
from ops.caller.api import READ_WITHIN_S, Api, Membership
from ops.caller.errors import CallFailed, LineLost, Unavailable
from ops.caller.eye import Seen
from ops.caller.latency import Run, Spoken
from ops.caller.line import Exchange
from ops.caller.patience import Patience
from ops.caller.phone import Caption, Phone, Saved, Stages, call
from ops.caller.script import converse, forget_unanswered
from ops.caller.sound import Sound
from ops.event_view import EventView

HEARD_NAME = "heard.wav"
SEEN_NAME = "seen.webm"
SEAL_WITHIN_S = 45.0
SEAL_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be said to whom. `save` is a folder that is there."""

    persona_id: PersonaId
    sounds: Sequence[Sound]
    barge_in_s: float | None = None
    save: Path | None = None

    def saved(self) -> Saved:
        if self.save is None:
            return Saved()
        return Saved(self.save / HEARD_NAME, self.save / SEEN_NAME)


@dataclass(slots=True)
class Outcome:
    """All that a call left behind; `error` is None when the conversation was sealed."""

    conversation_id: ConversationId | None = None
    spoken: list[Spoken] = field(default_factory=list)
    replies: list[Run] = field(default_factory=list)
    stages: list[tuple[float, Stages]] = field(default_factory=list)
    seen: Seen = field(default_factory=lambda: Seen(0, 0.0, 0.0))
    events: list[EventView] = field(default_factory=list)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Watcher:
    """Told what happens while it happens."""

    step: Callable[[str], None] = lambda _: None
    caption: Callable[[Caption], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class _Seat:
    """The caller's own place in a conversation."""

    conversation_id: ConversationId
    membership: Membership


async def ring(api: Api, plan: Plan, watcher: Watcher) -> Outcome:
    """Never raises CallFailed: what went wrong stands in the outcome, beside all that was measured."""
    outcome = Outcome()
    try:
        watcher.step("inviting")
        invitation = await api.invite(plan.persona_id)
        outcome.conversation_id = invitation.conversation_id
        membership = await api.join(invitation)
        try:
            await _talk(api, plan, watcher, outcome, _Seat(invitation.conversation_id, membership))
        except CallFailed as failure:
            outcome.error = str(failure)
            # Nobody waits for a caller who cannot come.
            await api.end(invitation.conversation_id)
            raise
        watcher.step("waiting for the seal")
        await _sealed(api, invitation.conversation_id)
    except CallFailed as failure:
        # What went wrong first is why the rest did.
        outcome.error = outcome.error or str(failure)
    if outcome.conversation_id is not None:
        try:
            # A call that failed has waited long enough for an interface that is away.
            within_s = READ_WITHIN_S if outcome.error is None else 0.0
            outcome.events = await api.events(outcome.conversation_id, within_s=within_s)
        except CallFailed as failure:
            outcome.error = outcome.error or str(failure)
    return outcome


async def _talk(api: Api, plan: Plan, watcher: Watcher, outcome: Outcome, seat: _Seat) -> None:
    async def exchange(sdp: str) -> str:
        return await api.offer(seat.conversation_id, seat.membership, sdp)

    async with call(plan.saved(), watcher.caption) as phone:
        try:
            await _stay_connected(phone, exchange, plan, watcher, outcome)
            if not phone.ended.is_set() and not await phone.hang_up():
                await api.leave(seat.conversation_id, seat.membership)
        finally:
            outcome.replies = list(phone.ear.runs)
            outcome.stages = list(phone.stages)
            outcome.seen = phone.eye.seen()


async def _stay_connected(
    phone: Phone, exchange: Exchange, plan: Plan, watcher: Watcher, outcome: Outcome
) -> None:
    """Returns when everything was said, over as many connections as that takes. Where there never was one,
    something is in the way that trying again does not mend: that is a failure at once."""
    loop = asyncio.get_running_loop()
    patience = Patience()
    watcher.step("connecting")
    await phone.connect(exchange)
    watcher.step("listening to the greeting")
    while True:
        connected_s = loop.time()
        try:
            await _until_said(phone, plan, watcher, outcome)
        except LineLost as loss:
            forget_unanswered(outcome.spoken, phone.ear.runs, heard_until_s=phone.ear.heard_until_s)
            patience = patience.after_loss(loop.time(), stood_s=loop.time() - connected_s)
            patience = await _reconnect(phone, exchange, patience, loss, watcher)
        else:
            return


async def _reconnect(
    phone: Phone, exchange: Exchange, patience: Patience, loss: CallFailed, watcher: Watcher
) -> Patience:
    """Makes the next connection, with the credential of the first. Raises CallFailed when patience is at its
    end, and at once when the conversation takes nobody any more."""
    while True:
        patience, wait_s = patience.next_attempt(asyncio.get_running_loop().time(), loss)
        watcher.step(f"reconnecting (attempt {patience.attempts})")
        await asyncio.sleep(wait_s)
        try:
            await phone.connect(exchange)
        except (LineLost, Unavailable) as failure:
            loss = failure
        else:
            watcher.step("connected again")
            return patience


async def _until_said(phone: Phone, plan: Plan, watcher: Watcher, outcome: Outcome) -> None:
    """Returns when everything was said, or when the other side ended the call before."""
    try:
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(phone.keep())
            ended = group.create_task(phone.ended.wait())
            talking = group.create_task(
                converse(
                    phone.mouth,
                    phone.ear,
                    plan.sounds,
                    barge_in_s=plan.barge_in_s,
                    spoken=outcome.spoken,
                    on_said=lambda n: watcher.step(
                        f"playing {plan.sounds[n].name} ({n + 1}/{len(plan.sounds)})"
                    ),
                )
            )
            await asyncio.wait({talking, ended}, return_when=asyncio.FIRST_COMPLETED)
            for task in (keeping, ended, talking):
                task.cancel()
    except* CallFailed as failures:
        raise failures.exceptions[0] from None


async def _sealed(api: Api, conversation_id: ConversationId) -> None:
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + SEAL_WITHIN_S
    while await api.status(conversation_id) != Status.SEALED:
        if loop.time() > deadline_s:
            raise CallFailed(
                f"The conversation was not sealed within {SEAL_WITHIN_S:.0f} s: see `vivavoce status`."
            )
        await asyncio.sleep(SEAL_POLL_S)
