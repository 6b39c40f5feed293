"""Colours as video has them: BT.601, limited range, in bytes. Blending is the same arithmetic there as in
RGB, and nothing is left to convert but the chroma's resolution."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from media.speaking.face import assets, palette
from media.speaking.face.geometry import PICTURES, LayerName, PictureName

Array = npt.NDArray[Any]
YUV: Final = np.array(
    [[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]], np.float64
)
YUV_OFFSET: Final = np.array([16.5, 128.5, 128.5])  # The half makes truncation round.
CREASE_DEPTH: Final = 0.8  # How dark the deepest crease gets, as a share of the crease's colour.


def to_tensor(array: Array, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(device)


def texture(rgba: Array, device: torch.device) -> Tensor:
    """(1, 4, h, w): premultiplied colour, then transparency (1 - alpha)."""
    colour = rgba[..., :3] @ YUV.T + rgba[..., 3:] * YUV_OFFSET
    both = np.concatenate([colour, 1 - rgba[..., 3:]], -1)
    return to_tensor(both.transpose(2, 0, 1), device)[None]


def tone(hexa: str, device: torch.device) -> Tensor:
    """(1, 3, 1, 1)."""
    value = int(hexa.lstrip("#"), 16)
    colour = YUV @ np.array([value >> 16, value >> 8 & 255, value & 255]) / 255 + YUV_OFFSET
    return to_tensor(colour, device).view(1, 3, 1, 1)


class Palette:
    """The run-time colours as tensors."""

    def __init__(self, device: torch.device) -> None:
        def of(hexa: str) -> Tensor:
            return tone(hexa, device)

        self.crease, self.flush, self.pallor = of(palette.SKIN_DEEP), of(palette.FLUSH), of(palette.PALLOR)
        self.lash, self.lid_shadow = of(palette.LASH), of(palette.LID_SHADOW)
        self.lip_under, self.lip_rim = of(palette.LIP_UNDER), of(palette.LIP_RIM)
        self.lip_tuck, self.lip_seam = of(palette.LIP_TUCK), of(palette.LIP_SEAM)
        self.mouth_dark, self.mouth_shadow = of(palette.MOUTH_DARK), of(palette.MOUTH_SHADOW)
        self.tongue, self.tongue_tip = of(palette.TONGUE), of(palette.TONGUE_TIP)
        self.tongue_groove = of(palette.TONGUE_GROOVE)
        self.teeth, self.teeth_lower = of(palette.TEETH), of(palette.TEETH_LOWER)
        self.teeth_gap = of(palette.TEETH_GAP)


class Textures:
    """Every painting as a tensor on one device, shared by all sessions of a process."""

    def __init__(self, scale: float, device: torch.device) -> None:
        self.scale = scale
        self.layers: dict[LayerName, Tensor] = {
            name: texture(assets.layer(name, scale), device) for name in assets.layer_names()
        }
        # The head's fifth channel says where its skin can crease.
        mask = to_tensor(assets.creases(scale), device)[None, None] * CREASE_DEPTH
        self.layers["head"] = torch.cat([self.layers["head"], mask], 1)
        self.pictures: dict[PictureName, Tensor] = {
            name: texture(assets.feature(name), device) for name in PICTURES
        }
        self.background = texture(assets.background(), device)[:, :3].contiguous()
        self.palette = Palette(device)
