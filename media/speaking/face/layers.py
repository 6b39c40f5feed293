"""Samples the painted layers where they can be seen, and lays them on the frame back to front."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from media.speaking.face.colour import Textures, to_tensor
from media.speaking.face.geometry import ORIGIN, PARTS, RECTS, SIZE, LayerName, Rect
from media.speaking.face.grid import NODE, Grid
from media.speaking.face.warp import CREASE

STILL_PX: Final = 0.2  # What moved less since it was last drawn is reused; coded video hides as much.
BOX_MARGIN_PX: Final = 24  # Of fixed boxes: the farthest a part comes from its place at rest.
PALLOR_MIN: Final = 0.003

Bounds = list[int]


def visibly_differs(now: Tensor, before: Tensor) -> bool:
    return bool((now - before).abs_().max() > STILL_PX)


@dataclass(frozen=True, slots=True)
class Sampled:
    """A layer as it was last sampled: where its nodes were, and the pixels of its boxes."""

    where: Tensor
    boxes: list[tuple[Rect, Tensor]]


class Layers:
    """`fixed` takes boxes of one size for every pose and reads nothing back, as a GPU wants it; without
    it boxes are tight, and what has not visibly moved is not sampled again, as a CPU wants it."""

    def __init__(
        self,
        textures: Textures,
        grid: Grid,
        device: torch.device,
        *,
        fixed: bool,
        parts: Mapping[LayerName, tuple[Rect, ...]] = PARTS,
    ) -> None:
        self.textures, self.grid, self.fixed, self.parts = textures, grid, fixed, parts
        self.nodes_x = np.linspace(0, SIZE, grid.x.shape[-1], dtype=np.float32)[None, None, :]
        self.nodes_y = self.nodes_x.transpose(0, 2, 1)
        self.scales: dict[LayerName, tuple[Tensor, Tensor]] = {}
        for name, (x0, y0, x1, y1) in RECTS.items():
            scale = np.array([2 / (x1 - x0), 2 / (y1 - y0)])
            shift = (np.array(ORIGIN) - (x0, y0)) * scale - 1
            self.scales[name] = to_tensor(scale, device), to_tensor(shift, device)
        self.near = {name: [self.rows(name, part) for part in of_layer] for name, of_layer in parts.items()}

    def rows(self, name: LayerName, part: Rect) -> Tensor:
        top, scale = RECTS[name][1], self.textures.scale
        first, last = (max(0, round((y - top) * scale)) for y in (part[1], part[3]))
        return self.textures.layers[name][:, :, first:last]

    def lay(self, out: Tensor, name: LayerName, where: Tensor, memory: dict[LayerName, Sampled]) -> None:
        """Puts a layer on the frames (B, 3, 512, 512), in place."""
        sampled = memory.get(name)
        if self.fixed or sampled is None or visibly_differs(where, sampled.where):
            sampled = memory[name] = Sampled(where, self.sample(name, where))
        for (x0, y0, x1, y1), got in sampled.boxes:
            under = out[:, :, y0:y1, x0:x1]
            torch.addcmul(got[:, :3], under, got[:, 3:4], out=under)

    def sample(self, name: LayerName, where: Tensor) -> list[tuple[Rect, Tensor]]:
        scale, shift = self.scales[name]
        coarse = (where[..., :2] * scale + shift).permute(0, 3, 1, 2)
        if where.shape[-1] > 2:
            coarse = torch.cat([coarse, where[..., 2:].permute(0, 3, 1, 2) * CREASE], 1)
        self.warm(name)
        return [
            (box, self.fetch(name, self.grid.spread(coarse, box))) for box in self.boxes(name, where[..., :2])
        ]

    def warm(self, name: LayerName) -> None:
        """Reads a texture in order, so that the gather after it finds it in the cache. An encoder has run
        since the last frame, and gathering waits for memory, not for arithmetic."""
        if not self.fixed:
            for near in self.near[name]:
                near.sum()

    def fetch(self, name: LayerName, fine: Tensor) -> Tensor:
        texture = self.textures.layers[name].expand(fine.shape[0], -1, -1, -1)
        place = fine[:, :2].permute(0, 2, 3, 1)
        got = F.grid_sample(texture, place, padding_mode="border", align_corners=False)
        if fine.shape[1] > 2:  # Creases and cheeks are well inside the face, where the layer is opaque.
            colours = self.textures.palette
            got[:, :3].lerp_(colours.crease, got[:, 4:5].mul_(fine[:, 2:3]))
            got[:, :3].lerp_(colours.flush, fine[:, 3:4])
            if self.fixed or fine[:, 4].max() > PALLOR_MIN:
                got[:, :3].lerp_(colours.pallor * (1 - got[:, 3:4]), fine[:, 4:5])
        return got

    def boxes(self, name: LayerName, xy: Tensor) -> list[Rect]:
        """Screen boxes of a layer's visible parts."""
        found: list[Bounds] = []
        for part in self.parts[name]:
            box = widened(part) if self.fixed else self.tight(part, xy.numpy())
            if box is not None:
                found.append([min(SIZE, max(0, edge)) for edge in box])
        return disjoint(found)

    def tight(self, part: Rect, at: npt.NDArray[Any]) -> Bounds | None:
        """What a part covers, from how far its nodes have moved."""
        x0, y0, x1, y1 = part
        px, py = at[..., 0] + ORIGIN[0], at[..., 1] + ORIGIN[1]
        inside = (px > x0 - NODE) & (px < x1 + NODE) & (py > y0 - NODE) & (py < y1 + NODE)
        if not inside.any():
            return None
        dx, dy = (self.nodes_x - px)[inside], (self.nodes_y - py)[inside]
        edges = (x0 + dx.min() - 1, y0 + dy.min() - 1, x1 + dx.max() + 1, y1 + dy.max() + 1)
        return [round(float(edge)) for edge in edges]


def widened(part: Rect) -> Bounds:
    x0, y0, x1, y1 = part
    return [x0 - BOX_MARGIN_PX, y0 - BOX_MARGIN_PX, x1 + BOX_MARGIN_PX, y1 + BOX_MARGIN_PX]


def disjoint(boxes: list[Bounds]) -> list[Rect]:
    """The same area without overlaps: a half-transparent pixel must not be laid twice.

    A box inside the columns of an earlier one cuts it off at its own top; a neighbour beside it takes
    over the columns of both from there on.
    """
    for k, low in enumerate(boxes):
        for high in boxes[:k]:
            if low[0] >= high[2] or high[0] >= low[2] or low[1] >= high[3]:
                continue
            if low[0] <= high[0] and low[2] >= high[2]:
                high[3] = low[1]
            else:
                high[0], high[2], low[1] = min(high[0], low[0]), max(high[2], low[2]), high[3]
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in boxes if x1 > x0 and y1 > y0]
