"""Reads the shipped pictures, without the library that painted them."""

from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt

from media.speaking.face.geometry import RECTS, TEXTURE_SCALES, LayerName, PictureName

ASSETS: Final = Path(__file__).parent / "assets"
Array = npt.NDArray[Any]


class PictureMissing(Exception):
    """A shipped picture is not where the package has it: the installation is damaged."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"the face's picture {path.name} is missing or unreadable at {path}: install the package again"
        )
        self.path = path


def read_straight(path: Path) -> Array:
    """(h, w, 4) bytes, colour not multiplied by its alpha."""
    try:
        with av.open(str(path)) as file:
            frame = next(iter(file.decode(video=0)))
    except (OSError, StopIteration, av.error.InvalidDataError) as error:
        raise PictureMissing(path) from error
    return frame.to_ndarray(format="rgba")


def read(path: Path) -> Array:
    """(h, w, 4) premultiplied float32 from 0 to 1."""
    rgba = read_straight(path).astype(np.float32) / 255
    rgba[..., :3] *= rgba[..., 3:]
    return rgba


def background() -> Array:
    return read(ASSETS / "background.png")


def feature(name: PictureName) -> Array:
    return read(ASSETS / "features" / f"{name}.png")


def layer(name: LayerName, scale: float) -> Array:
    return read(layer_folder(scale) / f"{name}.png")


def creases(scale: float) -> Array:
    """(h, w): where skin folds, over the head's rectangle."""
    mask: Array = read(layer_folder(scale) / "creases.png")[..., 0]
    return mask


def layer_folder(scale: float) -> Path:
    if scale not in TEXTURE_SCALES:
        offered = " and ".join(map(str, TEXTURE_SCALES))
        raise ValueError(f"the face's layers are shipped at scales {offered}, not {scale}")
    return ASSETS / f"layers-{float(scale)}"


def layer_names() -> tuple[LayerName, ...]:
    """Back to front."""
    return tuple(RECTS)
