"""Small parts of the frame in which eyes and mouth are drawn pixel by pixel, at any pose of the head."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from media.speaking.face.geometry import SIZE
from media.speaking.face.grid import Grid


class Window:
    """One rectangle for each centre: its pixels, and where on the head each of them is.

    `frames` is (B, 3, 512, 512), `at` (B, 2, n, n) the head coordinates of the grid, `centres` (N, 2)
    frame pixels with N = B or, for both eyes, 2 B. `pixels` is (N, 3, h, w), `x` and `y` (N, 1, h, w).
    """

    def __init__(
        self,
        grid: Grid,
        frames: Tensor,
        at: Tensor,
        centres: npt.NDArray[Any],
        size: tuple[int, int],
        *,
        fixed: bool,
    ) -> None:
        self.width, self.height = size
        self.frames, self.sessions, self.fixed = frames, frames.shape[0], fixed
        start = np.rint(centres - np.array([self.width / 2, self.height / 2])).astype(np.int64)
        start = start.clip(0, [SIZE - self.width, SIZE - self.height])
        self.corners: list[list[int]] = start.tolist()
        if fixed:
            across, down = self.gather(grid, torch.from_numpy(start).to(frames.device))
        else:
            across = torch.stack([grid.weights[x : x + self.width] for x, _ in self.corners]).mT
            down = torch.stack([grid.weights[y : y + self.height] for _, y in self.corners])
            self.pixels = torch.stack([self.view(i) for i in range(len(self.corners))])
        coarse = at.repeat(len(start) // at.shape[0], 1, 1, 1)
        xy = down[:, None] @ (coarse @ across[:, None])
        self.x, self.y = xy[:, :1], xy[:, 1:]

    def gather(self, grid: Grid, start: Tensor) -> tuple[Tensor, Tensor]:
        """Windows by index: one operation for all of them, as a device wants it."""
        device = start.device
        rows = start[:, 1:] + torch.arange(self.height, device=device)
        columns = start[:, :1] + torch.arange(self.width, device=device)
        session = (torch.arange(len(start), device=device) % self.sessions)[:, None, None]
        self.index = (session, slice(None), rows[:, :, None], columns[:, None, :])
        self.pixels = self.frames[self.index].permute(0, 3, 1, 2).contiguous()
        return grid.weights[columns].mT, grid.weights[rows]

    def view(self, i: int) -> Tensor:
        x, y = self.corners[i]
        return self.frames[i % self.sessions, :, y : y + self.height, x : x + self.width]

    def put(self) -> None:
        """Back into the frames."""
        if self.fixed:
            self.frames[self.index] = self.pixels.permute(0, 2, 3, 1)
        else:
            for i in range(len(self.pixels)):
                self.view(i).copy_(self.pixels[i])


EDGE: Final = 6.0  # The slope of torch's hard sigmoid is one sixth.


def cover(d: Tensor, soft: float = 1.0) -> Tensor:
    """Coverage of the half-plane d > 0 with an edge `soft` units wide."""
    return F.hardsigmoid(d * (EDGE / soft))


def bell(d: Tensor) -> Tensor:
    return torch.exp(-(d * d))


def smoothstep(x: Tensor, a: float, b: float) -> Tensor:
    t = ((x - a) * (1 / (b - a))).clamp_(0, 1)
    return t * t * (3 - 2 * t)


def outlines(weights: Tensor, basis: Tensor, u: Tensor) -> tuple[Tensor, ...]:
    """Curves of a basis (K, C, n) known over [-1, 1], at u (N, 1, h, w): C maps of (N, 1, h, w)."""
    curves = (weights @ basis.flatten(1)).view(-1, *basis.shape[1:])
    place = torch.stack([u[:, 0], torch.zeros_like(u[:, 0])], -1)
    maps = F.grid_sample(curves.unsqueeze(2), place, padding_mode="border", align_corners=True)
    return torch.split(maps, 1, 1)


def picture(painting: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """A small painting at (u, v) in [-1, 1]: its premultiplied colour, and its transparency."""
    place = torch.stack([u[:, 0], v[:, 0]], -1)
    painting = painting.expand(len(u), -1, -1, -1)
    got = F.grid_sample(painting, place, padding_mode="border", align_corners=False)
    return got[:, :3], got[:, 3:]
