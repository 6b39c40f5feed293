"""Where each layer's part of every grid node comes from, for a batch of poses.

The plan undoes the pose: shift, lean, breath and roll exactly, yaw and pitch by fixed-point steps over
the layer's depth, and for skin the muscles. Everything stays in float32: half steps by a tenth of a
pixel over these layers, enough to shimmer.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from media.speaking.face import muscles
from media.speaking.face.colour import to_tensor
from media.speaking.face.geometry import ORIGIN, ROLL_PIVOT_Y, LayerName
from media.speaking.face.grid import NODES, Grid
from media.speaking.face.rig import ParameterName

FIELD: Final = (128.0, 176.0)  # Skin moves within this half width and half height, in head coordinates.
FIELD_COLUMNS, FIELD_ROWS = 33, 45  # Of the baked fields, 8 units apart.
UNTURN_STEPS: Final = 3
CREASE: Final = 0.1  # This much crease, flush or pallor counts like a pixel of motion.
RADIANS: Final = math.pi / 180
LEAN_GROWTH: Final = 0.06
HEAD_BREATH_PX, BODY_BREATH_PX = 1.2, 2.2
BACK_SWAY_PX, FRONT_SWAY_PX = 6.0, 7.0  # How far hair tips trail at a sway of 1.
TURNS: Final[tuple[ParameterName, ...]] = ("yaw", "pitch", "roll")

Parameters = dict[ParameterName, Tensor]  # Each (B,) or, spread over the grid, (B, 1, 1).


@dataclass(frozen=True, slots=True)
class Plan:
    """`layers`, back to front: (B, n, n, 2) head coordinates, for the head's own layer followed by
    crease, flush and pallor over CREASE. `face` (B, n, n, 2) is where eyes and mouth find themselves."""

    layers: dict[LayerName, Tensor]
    face: Tensor


class Warp:
    def __init__(self, grid: Grid, device: torch.device) -> None:
        half_x, half_y = FIELD
        xs, ys = np.meshgrid(
            np.linspace(-half_x, half_x, FIELD_COLUMNS), np.linspace(-half_y, half_y, FIELD_ROWS)
        )
        depths = [muscles.back_depth(xs, ys), muscles.face_depth(xs, ys), muscles.hair_depth(xs, ys)]
        self.depth = to_tensor(np.stack(depths), device)[:, None]
        fields = muscles.skin_fields(xs, ys)
        self.fields = to_tensor(fields.reshape(len(muscles.MUSCLES), -1), device)
        self.pulls = to_tensor(muscles.pull_matrix(), device)
        self.least, self.most = to_tensor(muscles.bounds(), device)
        # Head coordinates times this are the baked fields' own, from -1 to 1.
        self.unit = to_tensor(np.array([1 / half_x, 1 / half_y]), device)
        self.x, self.y = grid.x - ORIGIN[0], grid.y - ORIGIN[1]

        def step(below: float, height: float) -> Tensor:
            return ((below - self.y) / height).clamp(0, 1)

        self.shoulders = step(320, 130) * BODY_BREATH_PX
        neck = step(200, 105)
        self.neck = neck * neck * (3 - 2 * neck)

    def plan(self, params: Tensor, p: Parameters) -> Plan:
        """From (B, parameters) and the same by name, each (B,)."""
        c = {name: value.view(-1, 1, 1) for name, value in p.items()}
        x, y = self.head_frame(c)
        back, face, hair = self.unturn(p, x, y)
        layers: dict[LayerName, Tensor] = {
            "back_hair": self.swung(back, c["sway"] * BACK_SWAY_PX),
            "body": self.body_frame(c, x, y),
            "head": self.skin_frame(params, face),
            "front_hair": self.swung(hair, c["sway"] * FRONT_SWAY_PX),
        }
        return Plan(layers, face)

    def head_frame(self, c: Parameters) -> tuple[Tensor, Tensor]:
        """Undoes shift, lean, breath and roll: frame coordinates to those of a turned head."""
        x = self.x - c["shift_x"]
        y = self.y - (c["shift_y"] + ROLL_PIVOT_Y - c["breath"] * HEAD_BREATH_PX)
        angle, size = c["roll"] * RADIANS, 1 / (1 + c["lean"] * LEAN_GROWTH)
        cos, sin = torch.cos(angle) * size, torch.sin(angle) * size
        return x * cos + y * sin, y * cos - x * sin + ROLL_PIVOT_Y

    def unturn(self, p: Parameters, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """Undoes yaw and pitch for the three depths at once: back hair, face, front hair."""
        b = x.shape[0]
        angles = torch.stack([p["yaw"], p["pitch"]], -1).view(1, b, 1, 1, 2) * RADIANS
        turn, facing = torch.sin(angles), 1 / torch.cos(angles)
        target = torch.stack([x, y], -1)[None]
        xy = target.expand(3, b, NODES, NODES, 2)
        for _ in range(UNTURN_STEPS):
            where = (xy * self.unit).reshape(3, b * NODES, NODES, 2)
            z = F.grid_sample(self.depth, where, padding_mode="border", align_corners=True)
            xy = (target - z.view(3, b, NODES, NODES, 1) * turn) * facing
        return xy.unbind(0)

    @staticmethod
    def swung(xy: Tensor, reach: Tensor) -> Tensor:
        """Hair tips trail behind the head."""
        tip = ((xy[..., 1] - 10) / 170).clamp_(0, 1)
        return torch.stack([xy[..., 0] - reach * tip * tip, xy[..., 1]], -1)

    def body_frame(self, c: Parameters, x: Tensor, y: Tensor) -> Tensor:
        """The shoulders breathe; the neck follows the head, less the lower it is."""
        bx = (self.x - 0.25 * c["shift_x"]) * (1 - 0.006 * c["breath"])
        by = self.y + c["breath"] * self.shoulders - 0.2 * c["shift_y"]
        nx = x - torch.sin(c["yaw"] * RADIANS) * 22
        ny = y - torch.sin(c["pitch"] * RADIANS) * 30
        return torch.stack([bx + (nx - bx) * self.neck, by + (ny - by) * self.neck], -1)

    def skin_frame(self, params: Tensor, xy: Tensor) -> Tensor:
        """Head coordinates to where that skin was at rest, how creased, flushed and pale it is."""
        pull = torch.cat([params, params.clamp(min=0)], 1) @ self.pulls
        strength = torch.minimum(torch.maximum(pull, self.least), self.most)
        moved = (strength @ self.fields).view(-1, 5, FIELD_ROWS, FIELD_COLUMNS)
        shift = F.grid_sample(moved[:, :2], xy * self.unit, padding_mode="border", align_corners=True)
        # The field lives on skin at rest, so look it up again from where the skin came from.
        rest = (xy - shift.permute(0, 2, 3, 1)) * self.unit
        got = F.grid_sample(moved, rest, padding_mode="border", align_corners=True).permute(0, 2, 3, 1)
        return torch.cat([xy - got[..., :2], got[..., 2:] * (1 / CREASE)], -1)


def project(p: Parameters, anchors: Tensor) -> Tensor:
    """Where points of the head, (3, K) as x, y and z, are in the frame: (B, K, 2) pixels."""
    yaw, pitch, roll = (p[name] * RADIANS for name in TURNS)
    x, y, z = anchors
    turned_x = x * torch.cos(yaw)[:, None] + z * torch.sin(yaw)[:, None]
    turned_y = y * torch.cos(pitch)[:, None] + z * torch.sin(pitch)[:, None] - ROLL_PIVOT_Y
    size = 1 + p["lean"] * LEAN_GROWTH
    cos, sin = (torch.cos(roll) * size)[:, None], (torch.sin(roll) * size)[:, None]
    dx = (p["shift_x"] + ORIGIN[0])[:, None]
    dy = (p["shift_y"] - HEAD_BREATH_PX * p["breath"] + (ORIGIN[1] + ROLL_PIVOT_Y))[:, None]
    return torch.stack([turned_x * cos - turned_y * sin + dx, turned_x * sin + turned_y * cos + dy], 2)
