"""Draws the mouths of a batch: shading of the skin round them, lips, and what shows between."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from media.speaking.face.colour import Textures, to_tensor
from media.speaking.face.curves import mouth_basis, mouth_weights
from media.speaking.face.geometry import MOUTH_REACH, MOUTH_WINDOW, MOUTH_Y
from media.speaking.face.grid import Grid
from media.speaking.face.rig import Batch, MouthName
from media.speaking.face.windows import Window, bell, cover, outlines, picture, smoothstep

SIDEWAYS_PX: Final = 6.0  # How far the mouth goes at a mouth_x of 1.
TOOTH_WIDTH: Final = 8.4
SHAPES: Final[tuple[MouthName, ...]] = ("jaw", "round", "funnel", "tongue")


class Mouth:
    def __init__(self, textures: Textures, grid: Grid, device: torch.device, *, fixed: bool) -> None:
        self.textures, self.grid, self.fixed = textures, grid, fixed
        self.basis = to_tensor(mouth_basis(), device)

    def draw(self, frames: Tensor, at: Tensor, batch: Batch, centres: npt.NDArray[Any]) -> None:
        """Into the frames (B, 3, 512, 512); `centres` (B, 2)."""
        win = Window(self.grid, frames, at, centres, MOUTH_WINDOW, fixed=self.fixed)
        col, colours = win.pixels, self.textures.palette
        device = frames.device
        weights, narrowness = mouth_weights(batch)
        sent = np.concatenate([narrowness, batch["mouth_x"][:, None] * SIDEWAYS_PX], 1)
        narrow = to_tensor(sent, device).view(-1, 3, 1, 1)
        mx, my = win.x - narrow[:, 2:], win.y - MOUTH_Y
        s = torch.where(mx > 0, narrow[:, :1], narrow[:, 1:2]) * mx  # -1 and 1 at the corners.
        top, gap_top, gap_low, low = outlines(to_tensor(weights, device), self.basis, s * (1 / MOUTH_REACH))
        far = s.abs()
        inside = (1 - far * far).clamp_(min=0)
        within = cover(1 - far, 0.04)

        # On the skin: shade under the lip, light on its rim, the tucks at the corners.
        shade = bell((my - low - 3.2) * 0.294) * cover(my - low + 1, 2)
        col.lerp_(colours.lip_under, shade * inside * 0.42)
        col.lerp_(colours.lip_rim, bell((my - top + 1.6) * 0.83) * inside * 0.22)
        col.lerp_(colours.lip_tuck, bell((far - 1.02) * 8) * bell((my - gap_top) * 0.31) * 0.36)

        row = ((my - top) / (gap_top - top).clamp_(min=0.5)).clamp_(0, 1)
        row += ((my - gap_low) / (low - gap_low).clamp_(min=0.5)).clamp_(0, 1)
        lips, _ = picture(self.textures.pictures["lips"], s, row - 1)
        col.lerp_(lips, cover(my - top, 1.3) * cover(low - my, 1.5) * within * 0.94)
        gap = cover(my - gap_top) * cover(gap_low - my) * within
        if self.fixed or gap.max() > 0:
            col.lerp_(self.opening(batch, mx, my, (gap_top, gap_low), far), gap)
        seam = bell((my - (gap_top + gap_low) * 0.5) * 1.1) * cover(4.0 - (gap_low - gap_top), 4.0)
        col.lerp_(colours.lip_seam, seam * cover(1.04 - far, 0.12) * 0.85)
        win.put()

    def opening(
        self, batch: Batch, mx: Tensor, my: Tensor, gap: tuple[Tensor, Tensor], far: Tensor
    ) -> Tensor:
        """What shows between the lips. The upper teeth belong to the skull, the lower ones to the jaw."""
        colours, (gap_top, gap_low) = self.textures.palette, gap
        jaw, rnd, funnel, lifted = (batch[name] for name in SHAPES)
        columns = (
            3.2 - 4.5 * rnd.clip(0, 1) - 1.5 * funnel,
            4.6 + 15.2 * jaw,
            3.0 + 5.0 * jaw + 6.0 * lifted,
            (lifted * 2 - 1).clip(0, 0.95),
        )
        teeth, teeth_lower, thick, tip = to_tensor(np.stack(columns), mx.device).view(4, -1, 1, 1, 1)
        wide, away = mx * mx, mx.abs()
        teeth, teeth_lower = teeth - wide * 0.0029, teeth_lower + wide * 0.0024
        arch = (1 - wide * 0.00277).clamp_(min=0).sqrt_()
        # The tongue stops short of the teeth's edge, or it would read as a missing tooth.
        top = torch.maximum(teeth - 1.6, gap_low - thick * arch)
        hole = colours.mouth_dark.repeat(len(mx), 1, *mx.shape[2:])
        tongue = cover(my - top, 1.6)
        hole.lerp_(colours.tongue, tongue * cover(17 - away, 3.0) * 0.9)
        hole.lerp_(colours.tongue_groove, tongue * bell(mx * 0.45) * 0.3)
        hole.lerp_(colours.teeth_lower, cover(my - teeth_lower) * cover(gap_low - teeth_lower, 1.5) * 0.9)
        row = cover(teeth - my, 1.2)
        hole.lerp_(colours.teeth, row)
        gaps = bell((torch.remainder(mx, TOOTH_WIDTH) - TOOTH_WIDTH / 2) * 1.8) * 0.22
        hole.lerp_(colours.teeth_gap, row * torch.maximum(smoothstep(away, 13, 27) * 0.8, gaps))
        hole.lerp_(colours.tongue_tip, tongue * cover(11 - away, 6.0) * tip)
        hole.lerp_(colours.mouth_shadow, torch.exp((my - gap_top).clamp_(min=0) * -0.5) * 0.55)
        hole.lerp_(colours.mouth_dark, smoothstep(far, 0.72, 1.0) * 0.8)
        return hole
