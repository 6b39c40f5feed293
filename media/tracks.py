"""What the persona sends: a track of sound and a track of pictures, each at its own steady pace."""

from __future__ import annotations

import asyncio
import fractions
from collections.abc import Callable

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from media.speaking.face import YuvFrame

AUDIO_RATE = 48_000
AUDIO_SAMPLES = 960  # 20 ms.
VIDEO_CLOCK = 90_000
FRAME_S = 0.04
# A loop that was held up for longer than this does not catch up frame by frame: the listener would hear
# the backlog at double speed.
LATE_S_MAX = 0.2


class PersonaAudio(MediaStreamTrack):
    """Twenty milliseconds of the playout at a time, or of silence. aiortc asks for the next frame only after
    the last one's packet was handed to the transport, so what was asked for before has been sent."""

    kind = "audio"

    def __init__(self, next_frame: Callable[[], bytes]) -> None:
        super().__init__()
        self._next_frame = next_frame
        self._due_s: float | None = None
        self._pts = 0

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._due_s is None or now - self._due_s > LATE_S_MAX:
            self._due_s = now
        elif self._due_s > now:
            await asyncio.sleep(self._due_s - now)
        self._due_s += AUDIO_SAMPLES / AUDIO_RATE
        samples = np.frombuffer(self._next_frame(), np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = AUDIO_RATE
        frame.pts, frame.time_base = self._pts, fractions.Fraction(1, AUDIO_RATE)
        self._pts += AUDIO_SAMPLES
        return frame


class PersonaVideo(MediaStreamTrack):
    """The newest picture of the persona, as it is drawn."""

    kind = "video"

    def __init__(self, pictures: asyncio.Queue[YuvFrame]) -> None:
        super().__init__()
        self._pictures = pictures
        self._began_s: float | None = None

    async def recv(self) -> av.VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        picture = await self._pictures.get()
        now = asyncio.get_running_loop().time()
        self._began_s = now if self._began_s is None else self._began_s
        frame = video_frame(picture)
        frame.pts = round((now - self._began_s) * VIDEO_CLOCK)
        frame.time_base = fractions.Fraction(1, VIDEO_CLOCK)
        return frame


def video_frame(picture: YuvFrame) -> av.VideoFrame:
    """Planes to a frame that libvpx reads without a conversion."""
    height, width = picture.y.shape
    planes = np.concatenate([picture.y.ravel(), picture.u.ravel(), picture.v.ravel()])
    return av.VideoFrame.from_ndarray(planes.reshape(height * 3 // 2, width), format="yuv420p")
