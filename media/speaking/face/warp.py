"""Where each layer's part of every grid node comes from, for a batch of poses.

The plan undoes the pose: shift, lean, breath and roll exactly, yaw and pitch by fixed-point steps over
the layer's depth, and for skin the muscles. Everything stays in float32: half steps by a tenth of a
pixel over these layers, enough to shimmer.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from media.speaking.face import muscles
from media.speaking.face.colour import to_tensor
from media.speaking.face.geometry import ORIGIN, ROLL_PIVOT_Y, LayerName
from media.speaking.face.grid import NODES, Grid
from media.speaking.face.rig import Batch, ParameterName

FIELD: Final = (128.0, 176.0)  # Skin moves within this half width and half height, in head coordinates.
FIELD_COLUMNS, FIELD_ROWS = 33, 45  # Of the baked fields, 8 units apart.
UNTURN_STEPS: Final = 3
CREASE: Final = 0.1  # This much crease, flush or pallor counts like a pixel of motion.
RADIANS: Final = math.pi / 180
LEAN_GROWTH: Final = 0.06
HEAD_BREATH_PX, BODY_BREATH_PX = 1.2, 2.2
BACK_SWAY_PX, FRONT_SWAY_PX = 6.0, 7.0  # How far hair tips trail at a sway of 1.
NECK_DEPTHS: Final = (22.0, 30.0)  # How far the neck is in front of the axis, for yaw and for pitch.
TURNS: Final[tuple[ParameterName, ...]] = ("yaw", "pitch", "roll")

Array = npt.NDArray[Any]


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
        self.device = device
        self.pulls = muscles.pull_matrix()
        self.least, self.most = muscles.bounds()
        # Head coordinates times this are the baked fields' own, from -1 to 1.
        self.unit = to_tensor(np.array([1 / half_x, 1 / half_y]), device)
        self.x, self.y = grid.x - ORIGIN[0], grid.y - ORIGIN[1]

        def step(below: float, height: float) -> Tensor:
            return ((below - self.y) / height).clamp(0, 1)

        self.shoulders = step(320, 130) * BODY_BREATH_PX
        neck = step(200, 105)
        self.neck = neck * neck * (3 - 2 * neck)

    def plan(self, batch: Batch) -> Plan:
        angles = np.stack([batch[name] for name in TURNS]) * RADIANS
        (sin_yaw, sin_pitch, sin_roll), (cos_yaw, cos_pitch, cos_roll) = np.sin(angles), np.cos(angles)
        size, breath = 1 / (1 + batch["lean"] * LEAN_GROWTH), batch["breath"]
        head = (
            batch["shift_x"],
            batch["shift_y"] + ROLL_PIVOT_Y - breath * HEAD_BREATH_PX,
            cos_roll * size,
            sin_roll * size,
        )
        body = (
            0.25 * batch["shift_x"],
            1 - 0.006 * breath,
            breath,
            0.2 * batch["shift_y"],
            sin_yaw * NECK_DEPTHS[0],
            sin_pitch * NECK_DEPTHS[1],
        )
        sway = (batch["sway"] * BACK_SWAY_PX, batch["sway"] * FRONT_SWAY_PX)
        turns = (sin_yaw, sin_pitch, 1 / cos_yaw, 1 / cos_pitch)
        columns = np.stack([*head, *body, *sway, *turns])
        sent = to_tensor(columns, self.device).view(len(columns), len(batch), 1, 1)
        of_head, of_body, of_sway, of_turns = torch.split(sent, [4, 6, 2, 4])

        x, y = self.head_frame(of_head)
        back, face, hair = self.unturn(of_turns, x, y)
        layers: dict[LayerName, Tensor] = {
            "back_hair": self.swung(back, of_sway[0]),
            "body": self.body_frame(of_body, x, y),
            "head": self.skin_frame(batch, face),
            "front_hair": self.swung(hair, of_sway[1]),
        }
        return Plan(layers, face)

    def head_frame(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Undoes shift, lean, breath and roll: frame coordinates to those of a turned head."""
        dx, dy, cos, sin = columns.unbind(0)
        x, y = self.x - dx, self.y - dy
        return x * cos + y * sin, y * cos - x * sin + ROLL_PIVOT_Y

    def unturn(self, turns: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """Undoes yaw and pitch for the three depths at once: back hair, face, front hair."""
        b = x.shape[0]
        turn, facing = turns.view(2, 2, b, 1, 1).permute(0, 2, 3, 4, 1).unbind(0)
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
        tip = ((xy[..., 1] - 10) * (1 / 170)).clamp_(0, 1)
        return torch.stack([xy[..., 0] - reach * tip * tip, xy[..., 1]], -1)

    def body_frame(self, columns: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """The shoulders breathe; the neck follows the head, less the lower it is."""
        dx, narrow, breath, dy, neck_x, neck_y = columns.unbind(0)
        bx, by = (self.x - dx) * narrow, self.y + breath * self.shoulders - dy
        nx, ny = x - neck_x, y - neck_y
        return torch.stack([bx + (nx - bx) * self.neck, by + (ny - by) * self.neck], -1)

    def skin_frame(self, batch: Batch, xy: Tensor) -> Tensor:
        """Head coordinates to where that skin was at rest, how creased, flushed and pale it is."""
        pull = np.concatenate([batch.values, np.maximum(batch.values, 0)], 1) @ self.pulls
        strength = to_tensor(pull.clip(self.least, self.most), self.device)
        moved = (strength @ self.fields).view(-1, 5, FIELD_ROWS, FIELD_COLUMNS)
        shift = F.grid_sample(moved[:, :2], xy * self.unit, padding_mode="border", align_corners=True)
        # The field lives on skin at rest, so look it up again from where the skin came from.
        rest = (xy - shift.permute(0, 2, 3, 1)) * self.unit
        got = F.grid_sample(moved, rest, padding_mode="border", align_corners=True).permute(0, 2, 3, 1)
        return torch.cat([xy - got[..., :2], got[..., 2:] * (1 / CREASE)], -1)


def project(batch: Batch, anchors: Array) -> Array:
    """Where points of the head, (3, K) as x, y and z, are in the frame: (B, K, 2) pixels."""
    x, y, z = anchors
    angles = np.stack([batch[name] for name in TURNS])[..., None] * RADIANS
    (sin_yaw, sin_pitch, sin_roll), (cos_yaw, cos_pitch, cos_roll) = np.sin(angles), np.cos(angles)
    turned_x = x * cos_yaw + z * sin_yaw
    turned_y = y * cos_pitch + z * sin_pitch - ROLL_PIVOT_Y
    size = (1 + batch["lean"] * LEAN_GROWTH)[:, None]
    dx = (batch["shift_x"] + ORIGIN[0])[:, None]
    dy = (batch["shift_y"] - HEAD_BREATH_PX * batch["breath"] + (ORIGIN[1] + ROLL_PIVOT_Y))[:, None]
    across = (turned_x * cos_roll - turned_y * sin_roll) * size + dx
    down = (turned_x * sin_roll + turned_y * cos_roll) * size + dy
    return np.stack([across, down], 2)
