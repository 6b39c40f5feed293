"""The small paintings that are stretched between the curves of eyes and mouth."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import skia

from media.speaking.face.geometry import GLINTS, IRIS_EDGE, LID_HALF, SCLERA, PictureName
from media.speaking.face.painting.brush import Array, Brush, Point, box, ellipse, linear, rgb, spline

LID_UNIT: Final = 12.0  # One row of the lids' picture, in eye units, so that brushes stay round.
LIP_UNIT: Final = 20.0  # The height of one lip in its picture.
LIP_HALF: Final = 32.0


def iris(pixels: int) -> Array:
    b = Brush((-IRIS_EDGE, -IRIS_EDGE, IRIS_EDGE, IRIS_EDGE), pixels / 2 / IRIS_EDGE)
    rng = np.random.default_rng(11)
    disc = ellipse(0, 0, 1, 1)
    tones = [rgb("#8F6538"), rgb("#6B4728"), rgb("#4A301F"), rgb("#241812")]
    b.fill(disc, shader=skia.GradientShader.MakeRadial((0, 0.12), 1.05, tones, [0.25, 0.55, 0.82, 1.0]))
    b.clip(disc)
    for _ in range(90):
        a = rng.uniform(0, 2 * math.pi)
        r0, r1 = rng.uniform(0.4, 0.5), rng.uniform(0.65, 0.9)
        color = "#B98950" if rng.random() < 0.55 else "#3A281C"
        ray = [(r0 * math.cos(a), r0 * math.sin(a)), (r1 * math.cos(a), r1 * math.sin(a))]
        b.tapered(ray, 0.05, color, 0.35)
    b.glow(0, 0.55, 0.75, 0.42, "#C8935A", 0.5)
    b.stroke(ellipse(0, 0, 0.97, 0.97), "#1E1411", 0.12, 0.85, blur=0.03)
    b.fill(ellipse(0, 0, 0.44, 0.44), "#120B0A", 1.0, blur=0.02)
    b.unclip()
    return b.picture()


def glints(pixels: int) -> Array:
    """The window's reflection and its echo."""
    b = Brush((-GLINTS, -GLINTS, GLINTS, GLINTS), pixels / 2 / GLINTS)
    b.fill(ellipse(-3.6, -2.6, 2.7, 2.9), "#FFFFFF", 0.96, blur=0.25)
    b.glow(3.8, 5.6, 3.6, 3.2, "#F4E3CF", 0.38)
    return b.picture()


def sclera(pixels: int) -> Array:
    w, h = SCLERA
    b = Brush((-w, -h, w, h), pixels / 2 / w)
    b.fill(box(-w, -h, w, h), "#F3EDE7")
    for x in (-w, w):
        b.glow(x, 0, 24, 40, "#C3A498", 0.85)
    b.glow(-25, 2, 12, 14, "#CF7F70", 0.95)
    b.tapered([(14, 4), (19, 1), (23, 2)], 0.7, "#C98A80", 0.35, blur=0.3)
    return b.picture()


def lids(pixels: int) -> Array:
    """Skin round an eye, in three rows: from above the crease to it, the lid down to the lashes, and
    below the lower lid. Across: eye units from nose to temple."""
    k = LID_UNIT
    b = Brush((-LID_HALF, 0, LID_HALF, 3 * k), pixels / 2 / LID_HALF)

    def across(y: float) -> list[Point]:
        return [(x, y * k) for x in (-22, -8, 8, 24)]

    fold = [(-19, 0.96), (0, 0.92), (20, 0.96), (25, 1.5), (23, 2), (-20, 2), (-22, 1.5)]
    b.fill(spline([(x, y * k) for x, y in fold]), "#C98C76", 0.40, blur=2.0)
    b.glow(-2, 1.55 * k, 17, 5.5, "#FBE0CB", 0.42)
    b.tapered(across(0.98), 5.0, "#8A5448", 0.55, blur=1.6, ends=(0.0, 0.3))
    b.tapered(across(1.0), 2.2, "#6E3E36", 0.55, blur=0.7, ends=(0.0, 0.3))
    b.tapered(across(0.35), 6.0, "#F7D8BF", 0.20, blur=2.5)
    b.fill(box(-21, 1.84 * k, 24, 2.0 * k), "#7A483E", 0.35, blur=1.2)
    b.tapered(across(2.10), 3.4, "#F7D9CB", 0.6, blur=0.7, ends=(0.2, 0.0))
    under = [(-12, 2.36 * k), (4, 2.37 * k), (16, 2.37 * k), (25, 2.3 * k)]
    b.tapered(under, 4.4, "#8A5246", 0.55, blur=1.6, ends=(0.0, 0.2))
    out = b.picture()
    out[0], out[-1] = 0, 0  # Beyond its first and last row the skin is the face's own.
    return out


def lips(pixels: int) -> Array:
    """Upper lip over lower lip, each one unit high, from corner to corner."""
    k = LIP_UNIT
    b = Brush((-LIP_HALF, 0, LIP_HALF, 2 * k), pixels / 2 / LIP_HALF)
    rng = np.random.default_rng(5)
    upper = linear((0, 0), (0, k), ["#BC655E", "#B05852", "#93423F"], [0.0, 0.4, 1.0])
    tones = ["#9E4B47", "#C66C61", "#CE786B", "#B7605A", "#A5514B"]
    lower = linear((0, k), (0, 2 * k), tones, [0.0, 0.2, 0.45, 0.8, 1.0])
    b.fill(box(-40, -10, 40, k), shader=upper)
    b.fill(box(-40, k, 40, 3 * k), shader=lower)
    for s, light in ((-1, 0.5), (1, 0.3)):
        b.glow(s * 7.5, 0.28 * k, 9, 6, "#E09A8A", light)
        b.fill(box(min(s * 23, s * 44), -10, max(s * 23, s * 44), 3 * k), "#84393A", 0.45, blur=6)
    b.glow(-4, 1.42 * k, 15, 6.5, "#F9CBBB", 0.62)
    b.glow(11, 1.45 * k, 8, 5, "#EBAA9B", 0.25)
    for _ in range(46):
        x = rng.uniform(-28, 28)
        y0, y1 = (0.15, 0.95) if rng.random() < 0.4 else (1.08, 1.85)
        wrinkle = [(x, y0 * k), (x * 1.05, (y0 + y1) / 2 * k), (x * 1.12, y1 * k)]
        b.tapered(wrinkle, 0.7, "#8A3F3E", rng.uniform(0.05, 0.2), blur=0.3)
    return b.picture()


FEATURES: Final[dict[PictureName, Callable[[int], Array]]] = {
    "iris": iris,
    "glints": glints,
    "sclera": sclera,
    "lids": lids,
    "lips": lips,
}
