"""A caller whose every picture and every word is timed: what is taken away under a call shows in them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ops.caller.api import Api
from ops.caller.ear import Ear
from ops.caller.eye import Eye
from ops.caller.latency import Run, Spoken
from ops.caller.line import Line, Senses
from ops.caller.mouth import Mouth
from ops.caller.sound import read_sound
from ops.caller.taps import Arrived
from tests.stack import RunningStack
from tests.temporal_fixtures import eventually

CONNECTED_WITHIN_S = 60.0
SEALED_WITHIN_S = 60.0


class TimedEye(Eye):
    """Keeps when each picture came whole, in seconds of the loop's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures_s: list[float] = []

    def on_arrived(self, packet: Arrived) -> None:
        before = self.seen().frames
        super().on_arrived(packet)
        if self.seen().frames > before:
            self.pictures_s.append(packet.at_s)

    def longest_gap_ms(self, since_s: float, until_s: float) -> float:
        """Between two pictures, or between a picture and either moment."""
        inside = [at_s for at_s in self.pictures_s if since_s <= at_s <= until_s]
        gaps = [after - before for before, after in itertools.pairwise([since_s, *inside, until_s])]
        return max(gaps) * 1000


class Caller:
    """One connection. `states` are what the worker said of the floor and nobody has waited for yet."""

    def __init__(self) -> None:
        self.mouth, self.ear, self.eye = Mouth(), Ear(), TimedEye()
        self.states: asyncio.Queue[str] = asyncio.Queue()
        self.conversation_id = ""
        self.line = Line(Senses(self.mouth, self.ear, self.eye), self._on_message)

    async def until_said(self) -> None:
        """Until the persona has spoken, and listens."""
        for wanted in ("speaking", "listening"):
            while await self.states.get() != wanted:
                pass

    async def say(self, path: Path) -> Spoken:
        return await self.mouth.say(read_sound(path))

    def heard_between(self, since_s: float, until_s: float) -> list[Run]:
        """Speech of the persona of which any part came in that time."""
        return [run for run in self.ear.runs if run.began_s <= until_s and run.ended_s >= since_s]

    def _on_message(self, message: object) -> None:
        match message:
            case {"type": "state", "state": str(state)}:
                self.states.put_nowait(state)
            case _:
                pass


@asynccontextmanager
async def calling(running: RunningStack, persona_document: str) -> AsyncIterator[Caller]:
    """A caller who has been greeted. Who leaves the block has hung up, and the record is sealed."""
    address, key = running.link.split("/#key=")
    async with Api(address, key) as api:
        async with asyncio.timeout(CONNECTED_WITHIN_S):
            persona = await api.publish_persona(persona_document.encode(), media_type="application/yaml")
            invitation = await api.invite(persona)
            membership = await api.join(invitation)
            caller = Caller()
            caller.conversation_id = str(invitation.conversation_id)
            await caller.line.open(lambda sdp: api.offer(invitation.conversation_id, membership, sdp))

        async def sealed() -> bool:
            return await api.status(invitation.conversation_id) == "sealed"

        try:
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(caller.line.keep())
                async with asyncio.timeout(CONNECTED_WITHIN_S):
                    await caller.until_said()
                yield caller
                caller.line.send({"type": "hang_up"})
                await eventually(sealed, within_s=SEALED_WITHIN_S)
                keeping.cancel()
        finally:
            await caller.line.close()
