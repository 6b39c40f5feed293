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
    """Anything within the ranges, from a fixed seed; every second one closer to rest."""
    rng = Random(77)
    return [
        Pose(tuple(rng.uniform(*RANGES[name]) * (1.0 if k % 2 else 0.75) for name in NAMES))
        for k in range(48)
    ]
