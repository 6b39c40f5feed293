"""Times the face on this machine."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np
import torch

from domain.mind.emotion import Emotion
from domain.speech import Sound
from media.speaking.face.motion import FaceMotion
from media.speaking.face.renderer import SESSIONS_MAX, FaceRenderer, FrameMemory
from media.speaking.face.rig import Pose
from media.speaking.face.visemes import FRAME_S, MouthTrack

SECONDS_MAX: Final = 600.0
FRAMES_PER_S: Final = round(1 / FRAME_S)
WARM_UP: Final = 5  # The first frames also build what later ones reuse.
PHRASE: Final = "ɡʊd mɔɹnɪŋ I fWnd jʊɹ klAm ænd wi kæn fɪks ɪt tədA "
SOUND_S: Final = 0.075
# Between two frames an encoder and a recogniser use the caches, so they are as cold here as in a call.
OTHER_MEMORY: Final = 2 * 1024 * 1024  # Floats: 8 MB.


@dataclass(frozen=True, slots=True)
class Milliseconds:
    """Per frame and session, pose to YUV planes."""

    least: float
    p50: float
    p95: float
    mean: float

    @property
    def core_share(self) -> float:
        """Of one core, at 25 frames a second."""
        return self.mean * FRAMES_PER_S / 1000


@dataclass(frozen=True, slots=True)
class FaceFigures:
    """What one thread needs; `sessions` were drawn in one batch."""

    device: str
    texture_scale: float
    sessions: int
    frames: int
    speaking: Milliseconds
    listening: Milliseconds
    motion_ms: float  # Making one speaking pose.


def measure(seconds: float, sessions: int, device: str) -> FaceFigures:
    """Draws that many seconds of every session speaking, and of every session listening, in turn."""
    if not 1.0 <= seconds <= SECONDS_MAX:
        raise ValueError(f"the benchmark runs for 1 to {SECONDS_MAX:g} seconds of video, not {seconds:g}")
    if not 1 <= sessions <= SESSIONS_MAX:
        raise ValueError(f"the benchmark draws 1 to {SESSIONS_MAX} sessions, not {sessions}")
    frames = int(seconds * FRAMES_PER_S)
    with one_thread():
        renderer = FaceRenderer(device=device)
        started = time.perf_counter()
        speaking = [script(frames, seed, speaking=True) for seed in range(sessions)]
        motion_ms = (time.perf_counter() - started) * 1000 / frames / sessions
        listening = [script(frames, seed, speaking=False) for seed in range(sessions)]
        loud, quiet = timed(renderer, speaking, listening)
    return FaceFigures(
        device=renderer.device.type,
        texture_scale=renderer.textures.scale,
        sessions=sessions,
        frames=frames,
        speaking=summary(loud),
        listening=summary(quiet),
        motion_ms=motion_ms,
    )


def script(frames: int, seed: int, *, speaking: bool) -> list[Pose]:
    """The poses of one session that speaks, or listens, all the time."""
    count = int(frames * FRAME_S / SOUND_S) + 1
    track = MouthTrack(
        Sound(PHRASE[k % len(PHRASE)], k * SOUND_S, (k + 1) * SOUND_S, k % 9 == 1) for k in range(count)
    )
    motion = FaceMotion(Random(seed))
    return [
        motion.step(
            emotion=Emotion.CONTENT,
            strength=0.6,
            speaking=speaking,
            mouth=track if speaking else None,
            at_s=k * FRAME_S,
        )
        for k in range(frames)
    ]


def timed(renderer: FaceRenderer, *scripts: list[list[Pose]]) -> list[list[float]]:
    """Milliseconds of every frame, a second of each script in turn, so that neighbours on the machine
    disturb all alike."""
    memories, times = [FrameMemory() for _ in scripts], [list[float]() for _ in scripts]
    frames, other = len(scripts[0][0]), torch.rand(OTHER_MEMORY)
    for block in range(0, frames, FRAMES_PER_S):
        for poses, memory, wall in zip(scripts, memories, times, strict=True):
            for k in range(block, min(block + FRAMES_PER_S, frames)):
                other.add_(0.0)
                started = time.perf_counter()
                renderer.render([session[k] for session in poses], memory)
                wall.append((time.perf_counter() - started) * 1000 / len(poses))
    return times


def summary(times: list[float]) -> Milliseconds:
    counted = np.array(times[WARM_UP:])
    least, p50, p95 = (float(np.quantile(counted, q)) for q in (0.0, 0.5, 0.95))
    return Milliseconds(least, p50, p95, float(counted.mean()))


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
