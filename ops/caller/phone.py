"""One WebRTC call over as many connections as it takes: a mouth, an ear, an eye, and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from domain.ids import TurnId
from ops.caller.ear import Ear
from ops.caller.errors import LineLost
from ops.caller.eye import Eye
from ops.caller.line import Exchange, Line, Senses
from ops.caller.mouth import Mouth

HANG_UP_WITHIN_S = 3.0


class Stages(BaseModel):
    """Where the time of one turn went, as the media worker saw it, in milliseconds."""

    turn_id: TurnId
    end_of_turn: float
    recognition: float
    answer: float
    gate_and_commit: float
    synthesis: float

    @property
    def total_ms(self) -> float:
        return self.end_of_turn + self.recognition + self.answer + self.gate_and_commit + self.synthesis


@dataclass(frozen=True, slots=True)
class Caption:
    """A finished line of either side, for showing while the call runs."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Saved:
    """Where what was heard and seen is written to; None for what is not kept."""

    heard: Path | None = None
    video: Path | None = None


class Phone:
    """Made inside `call`. `stages` holds (arrival, stages), with arrival in seconds of the loop's clock."""

    def __init__(self, saved: Saved, on_caption: Callable[[Caption], None]) -> None:
        self.mouth, self.ear, self.eye = Mouth(), Ear(saved.heard), Eye(saved.video)
        self.stages: list[tuple[float, Stages]] = []
        # The worker said that the call is over.
        self.ended = asyncio.Event()
        self._hung_up = False
        self._on_caption = on_caption
        self._loop = asyncio.get_running_loop()
        self._line: Line | None = None

    async def connect(self, exchange: Exchange) -> None:
        """Makes a connection, in the place of an earlier one. Raises as `Line.open` does."""
        await self._drop_line()
        self._line = Line(Senses(self.mouth, self.ear, self.eye), self._on_message)
        await self._line.open(exchange)

    async def keep(self) -> None:
        """Keeps the connection until the call is over or this is cancelled. Raises LineLost when it goes."""
        if self._line is not None:
            await self._line.keep()
        if not self.ended.is_set() and not self._hung_up:
            raise LineLost("The connection to the media worker was lost.")

    async def hang_up(self) -> bool:
        """Tells the worker, and whether it has taken note within HANG_UP_WITHIN_S."""
        self._hung_up = True
        if self._line is None:
            return False
        self._line.send({"type": "hang_up"})
        noted = {asyncio.ensure_future(event.wait()) for event in (self.ended, self._line.lost)}
        done, waiting = await asyncio.wait(
            noted, timeout=HANG_UP_WITHIN_S, return_when=asyncio.FIRST_COMPLETED
        )
        for each in waiting:
            each.cancel()
        return bool(done)

    async def close(self) -> None:
        self._hung_up = True
        await self._drop_line()
        self.ear.close()
        self.eye.close()

    async def _drop_line(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    def _on_message(self, message: object) -> None:
        match message:
            case {"type": "stages"}:
                self.stages.append((self._loop.time(), Stages.model_validate(message)))
            case {"type": "caption", "role": str(role), "text": str(words), "final": True}:
                self._on_caption(Caption(role, words))
            case {"type": "state", "state": "ended"}:
                self.ended.set()
            case _:
                pass


@asynccontextmanager
async def call(saved: Saved, on_caption: Callable[[Caption], None]) -> AsyncIterator[Phone]:
    """A phone that is closed at the end, however that comes."""
    phone = Phone(saved, on_caption)
    try:
        yield phone
    finally:
        await phone.close()
