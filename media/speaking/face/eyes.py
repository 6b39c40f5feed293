"""Draws both eyes of a batch at once: lids, eyeball, iris, the window's light, and the lash line."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from media.speaking.face.colour import Textures, to_tensor
from media.speaking.face.curves import eye_basis, eye_weights
from media.speaking.face.geometry import (
    EYE_SCALE,
    EYE_WINDOW,
    EYE_X,
    EYE_Y,
    GLINTS,
    IRIS,
    IRIS_EDGE,
    LID_HALF,
    SCLERA,
)
from media.speaking.face.grid import Grid
from media.speaking.face.rig import Batch
from media.speaking.face.windows import Window, cover, outlines, picture

SOFT: Final = 1.0 / EYE_SCALE  # One frame pixel, in eye units.
GAZE_X, GAZE_Y = 8.2, 5.6  # How far the iris goes at a gaze of 1, in eye units.
IRIS_UP: Final = 1.6  # Its centre at rest, above the line between the corners.
GLINT_FOLLOWS: Final = 0.75  # The window's reflection follows the gaze only in part.


class Eyes:
    def __init__(self, textures: Textures, grid: Grid, device: torch.device, *, fixed: bool) -> None:
        self.textures, self.grid, self.fixed = textures, grid, fixed
        self.basis = to_tensor(eye_basis(), device)

    def draw(self, frames: Tensor, at: Tensor, batch: Batch, centres: npt.NDArray[Any]) -> None:
        """Into the frames (B, 3, 512, 512); `centres` (2 B, 2), all left eyes first."""
        win = Window(self.grid, frames, at, centres, EYE_WINDOW, fixed=self.fixed)
        col, colours, pictures = win.pixels, self.textures.palette, self.textures.pictures
        side = torch.ones(len(col), 1, 1, 1, device=col.device)
        side[len(col) // 2 :] = -1
        e, v = (win.x * side - EYE_X) * (1 / EYE_SCALE), (win.y - EYE_Y) * (1 / EYE_SCALE)
        upper, lower, crease, lash = outlines(
            to_tensor(eye_weights(batch), frames.device), self.basis, e * (1 / LID_HALF)
        )

        # Skin, row by row of its picture: from above the crease, over the lid, to below the eye.
        over = v - crease
        row = (over * 0.25 + 1).clamp_(0, 1) + (over / (upper - crease).clamp_(min=1)).clamp_(0, 1)
        row += ((v - lower) * 0.2).clamp_(0, 1)
        colour, clear = picture(pictures["lids"], e * (1 / LID_HALF), row * (2 / 3) - 1)
        torch.addcmul(colour, col, clear, out=col)

        ball = self.ball(batch, (e, v), upper, side)
        col.lerp_(ball, cover(v - upper, SOFT) * cover(lower - v, SOFT))

        # Coverage of a line without thickness is a half, so the line fades with its thickness too.
        line = cover(v - upper + lash, SOFT) * cover(upper + 0.9 - v, SOFT) * (lash * 1.5).clamp_(0, 0.96)
        col.lerp_(colours.lash, line)
        win.put()

    def ball(self, batch: Batch, at: tuple[Tensor, Tensor], upper: Tensor, side: Tensor) -> Tensor:
        """The eyeball as if no lid were there, but for the lid's shade on it."""
        colours, pictures, (e, v) = self.textures.palette, self.textures.pictures, at
        ball, _ = picture(pictures["sclera"], e * (1 / SCLERA[0]), v * (1 / SCLERA[1]))
        gaze_x = np.concatenate([batch["gaze_x"], -batch["gaze_x"]]) * GAZE_X
        gaze = to_tensor(np.stack([gaze_x, np.tile(batch["gaze_y"], 2) * GAZE_Y]), e.device)
        cx, cy = gaze.view(2, -1, 1, 1, 1)
        size = 1 / (IRIS * IRIS_EDGE)
        colour, clear = picture(pictures["iris"], (e - cx) * side * size, (v + IRIS_UP - cy) * size)
        ball = torch.addcmul(colour, ball, clear)
        ball.lerp_(colours.lid_shadow, torch.exp((v - upper).clamp_(min=0) * -0.29) * 0.55)
        across, down = e - cx * GLINT_FOLLOWS, v + IRIS_UP - cy * GLINT_FOLLOWS
        colour, clear = picture(pictures["glints"], across * side * (1 / GLINTS), down * (1 / GLINTS))
        return torch.addcmul(colour, ball, clear)
