"""Paints the persona and writes the pictures: `python -m media.speaking.face.painting.program FOLDER`.

The shipped pictures are in `media/speaking/face/assets`; a test paints them again and compares.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import skia

from media.speaking.face.geometry import PICTURES, TEXTURE_SCALES, LayerName
from media.speaking.face.painting.body import body
from media.speaking.face.painting.brush import Array
from media.speaking.face.painting.features import FEATURES
from media.speaking.face.painting.hair import back_hair, front_hair
from media.speaking.face.painting.head import creases, head
from media.speaking.face.painting.room import background

LAYERS: Final[dict[LayerName, Callable[[float], Array]]] = {
    "back_hair": back_hair,
    "body": body,
    "head": head,
    "front_hair": front_hair,
}


def straight_bytes(painted: Array) -> Array:
    """(h, w, 4) premultiplied floats as the bytes a PNG holds: colour not multiplied by its alpha. A
    mask, (h, w), becomes grey."""
    if painted.ndim == 2:
        painted = np.repeat(painted[..., None], 4, -1)
        painted[..., 3] = 1.0
    alpha = painted[..., 3:].clip(0, 1)
    color = np.where(alpha > 0, painted[..., :3] / np.maximum(alpha, 1e-6), 0.0)
    both = np.concatenate([color.clip(0, 1), alpha], -1)
    return np.asarray((both * 255 + 0.5).astype(np.uint8))


def pictures() -> dict[str, Array]:
    """Every shipped picture by its path below the assets folder, as (h, w, 4) bytes."""
    out = {"background.png": straight_bytes(background(1.0))}
    for name, pixels in PICTURES.items():
        out[f"features/{name}.png"] = straight_bytes(FEATURES[name](pixels))
    for scale in TEXTURE_SCALES:
        for layer, paint in LAYERS.items():
            out[f"layers-{scale}/{layer}.png"] = straight_bytes(paint(scale))
        out[f"layers-{scale}/creases.png"] = straight_bytes(creases(scale))
    return out


def write(folder: Path) -> None:
    for path, pixels in pictures().items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        kind = skia.kRGBA_8888_ColorType
        image = skia.Image.fromarray(np.ascontiguousarray(pixels), kind, skia.kUnpremul_AlphaType)
        target.write_bytes(bytes(image.encodeToData(skia.kPNG, 100)))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m media.speaking.face.painting.program FOLDER")
    write(Path(sys.argv[1]))
