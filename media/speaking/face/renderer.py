"""Turns poses into video frames."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from media.speaking.face.colour import Textures
from media.speaking.face.eyes import Eyes
from media.speaking.face.geometry import EYE_X, EYE_Y, MOUTH_Y, LayerName
from media.speaking.face.grid import Grid
from media.speaking.face.layers import STILL_PX, Layers, Sampled, visibly_differs
from media.speaking.face.mouth import Mouth
from media.speaking.face.rig import NAMES, OUTER, Batch, Pose
from media.speaking.face.warp import Plan, Warp, project

Plane = npt.NDArray[np.uint8]

SESSIONS_MAX: Final = 32  # In one batch; a frame and its memory take 5 to 7 MB a session.
INNER_WEIGHT: Final = 20.0  # A parameter that no layer's position shows counts like so many pixels.
# Middles of the windows on the head, as x, y and depth: left eye, right eye, mouth.
ANCHORS: Final = ((EYE_X, -EYE_X, 0.0), (EYE_Y - 3, EYE_Y - 3, MOUTH_Y + 9), (60.0, 60.0, 62.0))


@dataclass(frozen=True, slots=True)
class YuvFrame:
    """A picture as an encoder takes it: BT.601, limited range, 4:2:0. `y` is (512, 512) bytes, `u` and `v`
    (256, 256). Read it and let it go: where nothing moved, the next frame shares its planes."""

    y: Plane
    u: Plane
    v: Plane


@dataclass(slots=True)
class FrameMemory:
    """What was drawn last for one set of sessions, so that what stands still is not drawn again.

    It holds pictures by where their pixels come from, not by session: a set that changes its size starts
    afresh, one that changes a member draws what differs.
    """

    sessions: int = 0
    layers: dict[LayerName, Sampled] = field(default_factory=dict)
    places: Tensor | None = None
    inner: npt.NDArray[Any] | None = None
    frames: list[YuvFrame] = field(default_factory=list)

    def forget(self) -> None:
        self.layers.clear()
        self.places, self.inner, self.frames = None, None, []


def chosen_device(device: str) -> torch.device:
    match device:
        case "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        case "cpu":
            return torch.device("cpu")
        case "cuda":
            if not torch.cuda.is_available():
                raise ValueError(
                    "device 'cuda' was asked for, but torch sees no GPU here: use 'auto' or 'cpu'"
                )
            return torch.device("cuda")
        case _:
            raise ValueError(f"device {device!r} is not one of 'auto', 'cpu' and 'cuda'")


class FaceRenderer:
    """Holds the textures (11 MB at a scale of 1, 24 MB at 1.5), once per process, for all sessions.

    Thread-confined: call it from one thread. `texture_scale` is 1.0 or 1.5; by default the finer one where
    a GPU draws. `fixed_shapes` draws with shapes that no pose changes; by default where a GPU draws.
    """

    def __init__(
        self,
        *,
        device: str = "auto",
        texture_scale: float | None = None,
        fixed_shapes: bool | None = None,
    ) -> None:
        self.device = chosen_device(device)
        on_gpu = self.device.type == "cuda"
        fixed = on_gpu if fixed_shapes is None else fixed_shapes
        if on_gpu and not fixed:
            raise ValueError("a GPU draws with fixed shapes only: leave fixed_shapes out")
        scale = (1.5 if on_gpu else 1.0) if texture_scale is None else texture_scale
        self.fixed = fixed
        with torch.inference_mode():
            self.textures = Textures(scale, self.device)
            self.grid = grid = Grid(self.device)
            self.warp = Warp(grid, self.device)
            self.layers = Layers(self.textures, grid, self.device, fixed=fixed)
            self.eyes = Eyes(self.textures, grid, self.device, fixed=fixed)
            self.mouth = Mouth(self.textures, grid, self.device, fixed=fixed)
            self.anchors = np.array(ANCHORS)
            self.inner = np.array([INNER_WEIGHT * (name not in OUTER) for name in NAMES])

    def render(self, poses: Sequence[Pose], memory: FrameMemory) -> list[YuvFrame]:
        """One frame for each pose; the memory belongs to these sessions and no others."""
        if len(poses) > SESSIONS_MAX:
            raise ValueError(
                f"at most {SESSIONS_MAX} faces are drawn at once, not {len(poses)}: split the batch"
            )
        if len(poses) != memory.sessions:
            memory.forget()
            memory.sessions = len(poses)
        if not poses:
            return []
        with torch.inference_mode():
            batch = Batch(poses)
            plan = self.warp.plan(batch)
            if self.fixed or self.moved(batch, plan, memory):
                memory.frames = planes(self.draw(batch, plan, memory))
            return list(memory.frames)

    def moved(self, batch: Batch, plan: Plan, memory: FrameMemory) -> bool:
        """Whether anything looks different from the last frame; the memory then takes the new state."""
        inner = batch.values * self.inner
        places = torch.cat([where.flatten(1) for where in plan.layers.values()], 1)
        if memory.places is not None and memory.inner is not None:
            inside = np.abs(inner - memory.inner).max() > STILL_PX
            if not inside and not visibly_differs(places, memory.places):
                return False
        memory.inner, memory.places = inner, places
        return True

    def draw(self, batch: Batch, plan: Plan, memory: FrameMemory) -> Tensor:
        """(B, 3, 512, 512) in full chroma resolution."""
        sessions = plan.face.shape[0]
        out = self.textures.background.repeat(sessions, 1, 1, 1)
        for name, where in plan.layers.items():
            self.layers.lay(out, name, where, memory.layers)
            if name == "head":  # Eyes and mouth are on the skin and under the front hair.
                at = plan.face.permute(0, 3, 1, 2)
                left, right, mouth = project(batch, self.anchors).transpose(1, 0, 2)
                self.eyes.draw(out, at, batch, np.concatenate([left, right]))
                self.mouth.draw(out, at, batch, mouth)
        return out


def planes(out: Tensor) -> list[YuvFrame]:
    """Halves the chroma's resolution and rounds. Nothing can overflow: blends of colours inside the
    limited range stay inside it."""
    rows = out[:, 1:, 0::2] + out[:, 1:, 1::2]
    luma = out[:, 0].to(torch.uint8).cpu().numpy()
    chroma = (rows[..., 0::2] + rows[..., 1::2]).mul_(0.25).to(torch.uint8).cpu().numpy()
    return [YuvFrame(y, uv[0], uv[1]) for y, uv in zip(luma, chroma, strict=True)]
