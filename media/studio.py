"""Draws every session's persona, 25 times a second, in one thread.

Speaking sessions are drawn in a batch. Listening ones are drawn one by one, since most of a still face is
reused and a batch can reuse only what is still in all of its members.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from domain.mind.emotion import Emotion
from media.speaking.face import FaceMotion, FaceRenderer, FrameMemory, MouthTrack, Pose, YuvFrame

FRAME_S = 0.04
# A picture that nobody fetched is replaced by the next one.
PICTURES_WAITING_MAX = 1


@dataclass(frozen=True, slots=True)
class Expression:
    """What the face shows just now. `at_s` is the place in the sentence that `mouth` belongs to."""

    emotion: Emotion
    strength: float
    speaking: bool
    mouth: MouthTrack | None
    at_s: float


def new_pictures() -> asyncio.Queue[YuvFrame]:
    return asyncio.Queue(PICTURES_WAITING_MAX)


@dataclass(eq=False, slots=True)
class Seat:
    """A session's place before the camera."""

    motion: FaceMotion
    expression: Callable[[], Expression]
    filmed: Callable[[YuvFrame], None]
    pictures: asyncio.Queue[YuvFrame] = field(default_factory=new_pictures)
    memory: FrameMemory = field(default_factory=FrameMemory)

    def show(self, picture: YuvFrame) -> None:
        if self.pictures.full():
            self.pictures.get_nowait()
        self.pictures.put_nowait(picture)
        self.filmed(picture)


@dataclass(eq=False, slots=True)
class _Batch:
    """Sessions that are drawn together keep one memory for as long as they stay the same ones."""

    seats: tuple[Seat, ...] = ()
    memory: FrameMemory = field(default_factory=FrameMemory)


class Studio:
    """`run` draws until cancelled. A frame that takes too long delays none but itself: the next one is drawn
    for the time at which it will be shown."""

    def __init__(self, renderer: FaceRenderer, thread: Executor) -> None:
        self._renderer, self._thread = renderer, thread
        self._seats: list[Seat] = []
        self._speaking = _Batch()
        self._occupied = asyncio.Event()

    def take(self, seat: Seat) -> None:
        """Draws it from now on. To take a seat again is to keep it."""
        if seat not in self._seats:
            self._seats.append(seat)
        self._occupied.set()

    def leave(self, seat: Seat) -> None:
        if seat in self._seats:
            self._seats.remove(seat)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            if not self._seats:
                self._occupied.clear()
                await self._occupied.wait()
                due_s = loop.time()
            await self._shoot(loop)
            due_s += FRAME_S
            now = loop.time()
            if due_s < now:
                # Frames that could not be drawn in time are left out, and the beat is kept.
                due_s += FRAME_S * int((now - due_s) / FRAME_S)
            await asyncio.sleep(max(0.0, due_s - now))

    async def _shoot(self, loop: asyncio.AbstractEventLoop) -> None:
        speaking: list[tuple[Seat, Pose]] = []
        listening: list[tuple[Seat, Pose]] = []
        for seat in self._seats:
            now = seat.expression()
            pose = seat.motion.step(
                emotion=now.emotion,
                strength=now.strength,
                speaking=now.speaking,
                mouth=now.mouth,
                at_s=now.at_s,
            )
            (speaking if now.speaking else listening).append((seat, pose))
        if len(speaking) == 1:
            listening.append(speaking.pop())
        drawn = await loop.run_in_executor(self._thread, self._draw, speaking, listening)
        for seat, picture in drawn:
            if seat in self._seats:
                seat.show(picture)

    def _draw(
        self, together: list[tuple[Seat, Pose]], alone: list[tuple[Seat, Pose]]
    ) -> list[tuple[Seat, YuvFrame]]:
        drawn: list[tuple[Seat, YuvFrame]] = []
        if together:
            seats = tuple(seat for seat, _ in together)
            if seats != self._speaking.seats:
                self._speaking = _Batch(seats)
            pictures = self._renderer.render([pose for _, pose in together], self._speaking.memory)
            drawn += zip(seats, pictures, strict=True)
        for seat, pose in alone:
            drawn.append((seat, self._renderer.render([pose], seat.memory)[0]))
        return drawn
