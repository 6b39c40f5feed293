"""The studio: every session's picture on the beat, speaking ones in a batch, and none waiting for another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import cast

import numpy as np
import pytest

from domain.mind.emotion import Emotion
from domain.speech import Sound
from media.speaking.face import FaceMotion, FaceRenderer, FrameMemory, MouthTrack, Pose, YuvFrame
from media.studio import FRAME_S, PICTURES_WAITING_MAX, Expression, Seat, Studio
from tests.virtual_time import AtOnce, in_virtual_time, virtual_loop

LISTENING = Expression(Emotion.NEUTRAL, 0.5, speaking=False, mouth=None, at_s=0.0)
SPEAKING = Expression(
    Emotion.CONTENT, 0.5, speaking=True, mouth=MouthTrack((Sound("ɑ", 0.0, 1.0),)), at_s=0.3
)


class CountingRenderer:
    """Draws nothing, and remembers how many poses came together."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.memories: list[FrameMemory] = []

    def render(self, poses: Sequence[Pose], memory: FrameMemory) -> list[YuvFrame]:
        self.batches.append(len(poses))
        self.memories.append(memory)
        chroma = np.zeros((1, 1), np.uint8)
        return [YuvFrame(np.zeros((2, 2), np.uint8), chroma, chroma) for _ in poses]


class Room:
    """A studio that draws until the test leaves it."""

    def __init__(self, renderer: CountingRenderer) -> None:
        self.studio = Studio(cast(FaceRenderer, renderer), AtOnce())

    async def __aenter__(self) -> Studio:
        self.task = asyncio.ensure_future(self.studio.run())
        return self.studio

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


def seat(now: Expression, filmed: list[YuvFrame] | None = None) -> Seat:
    films = [] if filmed is None else filmed
    return Seat(FaceMotion(Random(1)), lambda: now, films.append)


@in_virtual_time
async def test_speaking_sessions_are_drawn_together_and_listening_ones_alone() -> None:
    # Given two who speak and one who listens
    renderer = CountingRenderer()
    seats = [seat(SPEAKING), seat(SPEAKING), seat(LISTENING)]
    async with Room(renderer) as studio:
        for each in seats:
            studio.take(each)
        # When a picture of each has come
        for each in seats:
            await each.pictures.get()

    # Then the speakers came out of one batch with one memory, the listener out of its own
    assert renderer.batches[:2] == [2, 1]
    assert renderer.memories[1] is seats[2].memory
    assert renderer.memories[0] is not seats[0].memory


@in_virtual_time
async def test_pictures_that_nobody_fetches_are_replaced_and_still_filmed() -> None:
    # Given a page that fetches no picture
    filmed: list[YuvFrame] = []
    slow = seat(LISTENING, filmed)
    async with Room(CountingRenderer()) as studio:
        studio.take(slow)
        await asyncio.sleep(0.3)

    # Then one waits, the newest, and all were filmed
    assert len(filmed) > 2
    assert slow.pictures.qsize() == PICTURES_WAITING_MAX == 1
    assert slow.pictures.get_nowait() is filmed[-1]


@in_virtual_time
async def test_the_beat_is_twenty_five_a_second() -> None:
    # Given a second of drawing
    filmed: list[YuvFrame] = []
    async with Room(CountingRenderer()) as studio:
        studio.take(seat(LISTENING, filmed))
        await asyncio.sleep(0.98)

    # Then 25 pictures were drawn
    assert len(filmed) == 25


class HeldUp(CountingRenderer):
    """Takes so long over its second picture."""

    def __init__(self, for_s: float) -> None:
        super().__init__()
        self._for_s = for_s

    def render(self, poses: Sequence[Pose], memory: FrameMemory) -> list[YuvFrame]:
        if len(self.batches) == 1:
            virtual_loop().pass_time(self._for_s)
        return super().render(poses, memory)


@pytest.mark.parametrize(("for_s", "left_out"), [(0.03, 0), (0.15, 2)])
def test_pictures_that_could_not_be_drawn_in_time_are_left_out(for_s: float, left_out: int) -> None:
    @in_virtual_time
    async def drawn() -> None:
        # Given a picture that takes less than its time, or more
        filmed: list[YuvFrame] = []
        async with Room(HeldUp(for_s)) as studio:
            studio.take(seat(LISTENING, filmed))
            await asyncio.sleep(24.5 * FRAME_S)

        # Then those after it come on the beat, and none is made up for
        assert len(filmed) == 25 - left_out

    drawn()


@in_virtual_time
async def test_a_seat_that_is_taken_again_is_still_drawn_once() -> None:
    # Given a session that takes its seat twice, as when a page reconnects before its old connection is gone
    renderer = CountingRenderer()
    filmed: list[YuvFrame] = []
    again = seat(SPEAKING, filmed)
    async with Room(renderer) as studio:
        studio.take(again)
        studio.take(again)
        await asyncio.sleep(0.3)

    # Then each frame was drawn for one
    assert set(renderer.batches) == {1}


@in_virtual_time
async def test_who_has_left_is_not_drawn_any_more() -> None:
    # Given a session that leaves
    filmed: list[YuvFrame] = []
    gone = seat(LISTENING, filmed)
    async with Room(CountingRenderer()) as studio:
        studio.take(gone)
        await gone.pictures.get()
        studio.leave(gone)
        await asyncio.sleep(0.1)
        count = len(filmed)
        await asyncio.sleep(0.2)

    # Then no picture of it is drawn
    assert len(filmed) == count
