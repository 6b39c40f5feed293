"""One renderer for all tests of a process: it holds only what never changes."""

from collections.abc import Iterator
from random import Random

import pytest
import torch

from media.speaking.face import FaceRenderer, Pose
from media.speaking.face.expressions import EMOTION_POSES
from media.speaking.face.rig import NAMES, RANGES, posed
from media.speaking.face.visemes import VISEMES


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def renderer() -> FaceRenderer:
    return FaceRenderer(device="cpu")


@pytest.fixture(scope="session")
def typical_poses() -> list[Pose]:
    """Every emotion and every viseme."""
    shapes = [posed(smile=0.1, **{str(name): value for name, value in s.items()}) for s in VISEMES.values()]
    return [*EMOTION_POSES.values(), *shapes]


@pytest.fixture(scope="session")
def wild_poses() -> list[Pose]:
    """Anything within three quarters of every range, from a fixed seed."""
    rng = Random(20)
    poses = []
    for _ in range(40):
        values = []
        for name in NAMES:
            least, most = RANGES[name]
            values.append(rng.uniform(least, most) * 0.75)
        poses.append(Pose(tuple(values)))
    return poses
