"""Ear, skin planes, nose and brows, and the mask of the creases."""

from typing import Final

import numpy as np

from media.speaking.face.geometry import RECTS
from media.speaking.face.painting.brush import (
    Array,
    Brush,
    Points,
    linear,
    mirrored,
    resample,
    rgb,
    ribbon,
    spline,
)
from media.speaking.face.painting.hair import LEFT_GUIDES, RIGHT_GUIDES, between
from media.speaking.face.palette import HAIR_DARK, SKIN, SKIN_DARK, SKIN_DEEP, SKIN_LIGHT, SKIN_SHADE

FACE_HALF: Final[Points] = (
    (0, -142), (46, -134), (78, -104), (90, -62), (92.5, -22), (91, 12), (86.5, 46), (76.5, 82), (56.5, 112),
    (32.5, 134), (15, 142.5), (0, 144),
)  # fmt: skip
EAR: Final[Points] = (
    (84, -12), (93, -23), (102, -20), (107, -4), (104, 14), (98, 32), (91, 41), (82, 34),
)  # fmt: skip
SIDE_PLANE: Final[Points] = (
    (70, -140), (72, -90), (77, -50), (70, -18), (74, 12), (66, 44), (54, 78), (44, 110), (26, 132),
    (10, 150), (60, 150), (110, 60), (110, -120),
)  # fmt: skip
FAR_EDGE: Final[Points] = (
    (86, -140), (84, -60), (86, 10), (78, 60), (60, 106), (30, 140), (90, 150), (120, 0),
)  # fmt: skip
NEAR_EDGE: Final[Points] = (
    (-96, -60), (-91, 10), (-88, 50), (-78, 84), (-60, 112), (-34, 138), (-60, 150), (-110, 80),
)  # fmt: skip
NOSE_SHADE: Final[Points] = (
    (7, -14), (9, 4), (11, 24), (17, 42), (21, 54), (17, 62), (9, 58), (8, 44), (4, 20), (3, -2),
)  # fmt: skip
NOSE_UNDER: Final[Points] = (
    (-17, 56), (-10, 60), (-4, 63), (0, 64.5), (4, 63), (10, 60), (18, 55), (15, 66), (0, 71), (-14, 65),
)  # fmt: skip
BROW: Final[Points] = ((19, -27.5), (31, -33.5), (46, -38), (60, -37), (73, -29))
BROW_HAIRS: Final = 90


def head(scale: float) -> Array:
    b = Brush(RECTS["head"], scale).on_head()
    ear(b)
    face = spline(mirrored(FACE_HALF))
    b.fill(face, shader=linear((-80, -90), (90, 110), [SKIN_LIGHT, SKIN, "#D9A080"]))
    b.clip(face)
    planes(b)
    cheeks(b)
    sockets(b)
    nose(b)
    around_the_mouth(b)
    # Cool light from the room on the shaded edge.
    b.tapered([(92, 6), (87, 44), (75, 82), (54, 112), (31, 134)], 5, "#A9BDB4", 0.4, blur=2.4)
    shadow_of_the_hair(b)
    b.unclip()
    brows(b)
    return b.picture()


def ear(b: Brush) -> None:
    """The persona's left ear; the face overlaps it and the hair is tucked behind it."""
    shape = spline(EAR)
    b.fill(shape, HAIR_DARK, 0.6, blur=3)
    b.fill(shape, "#CF9177")
    b.clip(shape)
    b.glow(101, -6, 10, 22, "#E6AE90", 0.8)
    b.tapered([(91, -12), (99, -13), (102, 0), (98, 18), (93, 28)], 3.6, SKIN_DEEP, 0.55, blur=1.4)
    b.glow(93, 8, 7, 13, SKIN_DEEP, 0.75)
    b.fill(spline([(80, -30), (90, -12), (89, 14), (86, 40), (78, 40)]), SKIN_DEEP, 0.5, blur=2)
    b.unclip()
    b.dot(93, 42.5, 3.2, "#C89A4A")
    b.dot(92.2, 41.6, 1.3, "#FFF1C4", 0.9, blur=0.4)


def planes(b: Brush) -> None:
    """The side of the face away from the light, its edges, the jaw and the forehead."""
    b.fill(spline(SIDE_PLANE), SKIN_SHADE, 0.75, blur=9)
    b.fill(spline(FAR_EDGE), SKIN_DEEP, 0.45, blur=8)
    b.fill(spline(NEAR_EDGE), SKIN_SHADE, 0.6, blur=6)
    jaw = [(-60, 116), (-34, 137), (0, 146), (36, 137), (60, 114)]
    b.tapered(jaw, 12, SKIN_DEEP, 0.4, blur=5, ends=(0.4, 0.6))
    b.glow(-26, -78, 62, 46, "#FCE3CB", 0.65)
    b.glow(20, -84, 52, 44, SKIN_LIGHT, 0.25)


def cheeks(b: Brush) -> None:
    b.glow(-56, 42, 38, 30, "#DE8A76", 0.34, angle=-18)
    b.glow(57, 42, 34, 28, "#C9705F", 0.3, angle=18)
    b.glow(-52, 22, 30, 14, "#FFE6CF", 0.5, angle=-20)
    b.glow(50, 24, 20, 10, "#F3C6A6", 0.5, angle=20)
    b.glow(-70, 70, 44, 20, SKIN_SHADE, 0.22, angle=-62)
    b.glow(66, 70, 44, 20, SKIN_DEEP, 0.16, angle=62)


def sockets(b: Brush) -> None:
    for s, socket, corner, brow in ((-1, 0.42, 0.34, 0.35), (1, 0.5, 0.44, 0.15)):
        b.glow(s * 42, -8, 40, 24, "#C98B72", socket)
        b.glow(s * 19, -8, 15, 24, SKIN_DEEP, corner, angle=s * 12)
        b.glow(s * 42, -12, 30, 11, "#B9786A", 0.35)
        b.glow(s * 40, 14, 27, 8, "#C58672", 0.28)
        b.glow(s * 44, -25, 26, 6, "#FBDDC2", brow)


def nose(b: Brush) -> None:
    """One lit side, one shaded side, a soft tip, and the plane that looks down."""
    b.fill(spline(NOSE_SHADE), SKIN_DEEP, 0.36, blur=3.2)
    b.tapered([(-10, -12), (-8, 10), (-11, 34), (-19, 50)], 5, SKIN_SHADE, 0.35, blur=3)
    b.tapered([(-3, -14), (-3, 10), (-3, 36)], 6, "#FFEBD6", 0.5, blur=2.8)
    b.glow(0, 49, 15, 13, "#E7A188", 0.55)
    b.glow(-4, 46, 6.5, 5, "#FFF3E4", 0.55)
    b.fill(spline(NOSE_UNDER), SKIN_DEEP, 0.5, blur=2.4)
    for s, wing in ((-1, 0.42), (1, 0.55)):
        b.tapered([(s * 15, 44), (s * 20, 51), (s * 19, 59), (s * 13, 61)], 3.2, SKIN_DEEP, wing, blur=1.2)
        nostril = [(s * 5, 60.5), (s * 9, 58.4), (s * 13.5, 59.6), (s * 11, 62.4), (s * 6.5, 62.6)]
        b.fill(spline(nostril), SKIN_DARK, 0.85, blur=0.7)
    b.fill(spline([(2, 66), (16, 62), (24, 70), (14, 80), (4, 78)]), SKIN_DEEP, 0.28, blur=4)


def around_the_mouth(b: Brush) -> None:
    """Philtrum, the hollow under the lip, and the chin."""
    b.tapered([(-4, 67), (-5, 74), (-6, 79)], 2.5, "#FCDCC2", 0.5, blur=1.2)
    b.tapered([(0, 66), (0.5, 73), (0, 80)], 4, SKIN_SHADE, 0.45, blur=1.6)
    b.glow(0, 109, 24, 8, SKIN_DEEP, 0.42)
    b.glow(-5, 125, 24, 13, "#FBDABF", 0.55)
    b.glow(0, 124, 20, 14, "#DE8F7A", 0.15)


def shadow_of_the_hair(b: Brush) -> None:
    left = between([[(x + 9, y + 9) for x, y in LEFT_GUIDES[0]], LEFT_GUIDES[3]])
    right = between([[(x - 5, y + 9) for x, y in RIGHT_GUIDES[0]], RIGHT_GUIDES[2]])
    b.fill(left, SKIN_DEEP, 0.55, blur=5)
    b.fill(right, SKIN_DEEP, 0.55, blur=5)


def brows(b: Brush) -> None:
    """Brows are part of the skin: the muscles' fields carry their hairs along."""
    rng = np.random.default_rng(7)
    t = np.linspace(0, 1, 40)
    half = np.interp(t, [0, 0.15, 0.45, 0.75, 1], [2.2, 3.6, 3.7, 2.6, 0.4])
    for s in (-1, 1):
        pts = resample([(s * x, y) for x, y in BROW], 40)
        fade = linear(tuple(pts[0]), tuple(pts[14]), [rgb("#5A4034", 0.25), rgb("#4B342B", 0.85)])
        b.fill(ribbon(pts, half * 0.85), shader=fade, blur=1.5)
        b.fill(ribbon(pts, half * 0.6), shader=fade, blur=0.7)
        for _ in range(BROW_HAIRS):
            brow_hair(b, rng, pts, t, half)


def brow_hair(b: Brush, rng: np.random.Generator, pts: Array, t: Array, half: Array) -> None:
    k = rng.uniform(0, 38)
    i = int(k)
    step = np.gradient(pts, axis=0)[i]
    direction = step / np.linalg.norm(step)
    # Hairs stand up near the nose and lie along the brow towards the temple.
    lean = np.interp(t[i], [0, 0.2, 0.6, 1], [1.1, 0.6, 0.0, -0.45])
    way = direction + np.array([0, -1.0]) * lean
    way /= np.linalg.norm(way)
    start = pts[i] + (pts[i + 1] - pts[i]) * (k - i) + np.array([0, rng.uniform(-1, 1) * half[i]]) - way * 2
    length = rng.uniform(4.5, 8) * np.interp(t[i], [0, 0.7, 1], [1, 0.9, 0.5])
    middle, tip = way * length * 0.5 + direction * 0.4, way * length + direction * 1.6
    hair = np.stack([start, start + middle, start + tip])
    width, alpha = rng.uniform(0.6, 1.1), rng.uniform(0.2, 0.45) * min(1.0, 0.45 + 3 * t[i])
    b.tapered(hair, width, "#3C2821", alpha)


def creases(scale: float) -> Array:
    """Where skin folds, (height, width) over the head's rectangle; what shows of it is weighted per frame."""
    b = Brush(RECTS["head"], scale).on_head()
    for s in (-1, 1):
        for points, width, alpha, blur in (
            (((21, 50), (29, 62), (37, 76), (41, 90)), 4.5, 0.75, 1.6),
            (((22, 50), (32, 64), (41, 82), (44, 94)), 10, 0.3, 4),
            (((72, 2), (80, 0), (87, -4)), 1.6, 0.5, 0.8),
            (((71, 8), (79, 10), (86, 11)), 1.6, 0.5, 0.8),
            (((26, 16), (42, 20), (60, 15)), 4, 0.55, 1.8),
            (((6.5, -42), (8.5, -31), (7.5, -19)), 4.5, 0.7, 2.0),
            (((5, 4), (10, 9), (13, 16)), 2.4, 0.6, 1.2),
        ):
            b.tapered([(s * x, y) for x, y in points], width, "#FFFFFF", alpha, blur)
    for y, alpha in ((-62, 0.32), (-74, 0.28), (-86, 0.18)):
        line = [(-54, y + 4), (-26, y - 2), (0, y + 1), (26, y - 2), (54, y + 4)]
        b.tapered(line, 2.6, "#FFFFFF", alpha, blur=1.2)
    mask: Array = b.picture()[..., 3]
    return mask
