"""Neck, blouse and jacket."""

from typing import Final

import skia

from media.speaking.face.geometry import RECTS
from media.speaking.face.painting.brush import Array, Brush, Points, flipped, linear, spline
from media.speaking.face.palette import (
    BLOUSE,
    BLOUSE_SHADE,
    JACKET,
    JACKET_DARK,
    JACKET_LIGHT,
    SKIN,
    SKIN_DARK,
    SKIN_DEEP,
    SKIN_LIGHT,
    SKIN_SHADE,
)

NECK: Final[Points] = (
    (-40, 80), (-41, 120), (-43, 150), (-47, 172), (-54, 190), (-60, 330), (60, 330), (54, 190), (47, 172),
    (43, 150), (41, 120), (40, 80),
)  # fmt: skip
BLOUSE_EDGE: Final[Points] = (
    (-53, 184), (-42, 206), (-20, 222), (0, 226), (20, 222), (42, 206), (53, 184), (64, 210), (80, 340),
    (-80, 340), (-64, 210),
)  # fmt: skip
# The persona's left half of the jacket; the other one is its mirror image.
PANEL: Final[Points] = (
    (46, 162), (58, 182), (94, 197), (146, 213), (184, 232), (206, 262), (222, 330), (20, 330), (24, 300),
    (44, 240),
)  # fmt: skip
LAPEL: Final[Points] = (
    (46, 160), (64, 192), (84, 222), (98, 232), (90, 246), (62, 296), (30, 330), (16, 330), (36, 262),
    (44, 216),
)  # fmt: skip


def body(scale: float) -> Array:
    b = Brush(RECTS["body"], scale).on_head()
    neck(b)
    blouse(b)
    for side in (-1, 1):
        jacket(b, side)
    return b.picture()


def neck(b: Brush) -> None:
    outline = spline(NECK)
    b.fill(outline, shader=linear((-50, 0), (55, 0), [SKIN, "#DDA383", SKIN_SHADE], [0.1, 0.55, 1.0]))
    b.clip(outline)
    # The head's cast shadow, hard enough to read as a shape.
    cast = spline([(-60, 60), (-52, 120), (-34, 148), (0, 166), (30, 176), (52, 172), (70, 120), (60, 60)])
    b.fill(cast, SKIN_DEEP, 0.62, blur=5)
    b.fill(spline([(-30, 90), (-20, 140), (6, 152), (34, 150), (60, 100)]), SKIN_DARK, 0.35, blur=9)
    # Neck muscles and the pit between the collar bones.
    b.tapered([(36, 128), (28, 164), (10, 200)], 9, SKIN_DEEP, 0.35, blur=4)
    b.tapered([(-38, 130), (-30, 168), (-9, 202)], 7, SKIN_LIGHT, 0.45, blur=4)
    b.tapered([(-33, 132), (-24, 170), (-6, 203)], 4, SKIN_SHADE, 0.45, blur=3)
    b.glow(0, 207, 10, 12, SKIN_DEEP, 0.26)
    for side, shade, light in ((-1, 0.3, 0.4), (1, 0.42, 0.12)):
        b.tapered([(side * 7, 209), (side * 26, 200), (side * 48, 197)], 6, SKIN_DEEP, shade, blur=2.4)
        b.tapered([(side * 8, 204), (side * 26, 195), (side * 46, 192)], 4, SKIN_LIGHT, light, blur=2)
    b.unclip()


def blouse(b: Brush) -> None:
    outline = spline(BLOUSE_EDGE, tension=0.45)
    b.fill(outline, shader=linear((-90, 190), (90, 300), ["#F7F0E4", BLOUSE, BLOUSE_SHADE]))
    b.clip(outline)
    collar = [(-60, 190), (-42, 212), (0, 232), (42, 212), (60, 190)]
    b.tapered(collar, 9, BLOUSE_SHADE, 0.7, blur=3, ends=(1, 1))
    edge = spline([(-60, 188), (-43, 210), (0, 230), (43, 210), (60, 188)], closed=False)
    b.stroke(edge, "#FFF9EE", 2.0, 0.5, blur=0.7)
    for x, alpha in ((-26, 0.35), (14, 0.4), (38, 0.5)):
        b.tapered([(x * 0.6, 236), (x, 262), (x * 1.3, 300)], 9, "#B7A48F", alpha, blur=5)
    b.unclip()


def jacket(b: Brush, side: int) -> None:
    """One panel with its notched lapel; the left of the picture is lit by the window."""
    lit = side < 0
    light, dark = (JACKET_LIGHT, JACKET) if lit else (JACKET, JACKET_DARK)
    panel = spline(flipped(PANEL, side), tension=0.42)
    b.fill(panel, shader=linear((side * 50, 180), (side * 190, 300), [light, dark]))
    b.clip(panel)
    b.tapered(flipped([(78, 196), (120, 207), (165, 222), (200, 256)], side), 10, light, 0.55, blur=4)
    b.tapered(flipped([(150, 240), (152, 270), (146, 320)], side), 12, JACKET_DARK, 0.6, blur=6)
    b.unclip()
    lapel = spline(flipped(LAPEL, side), tension=0.3)
    b.fill(lapel, "#0E1A20", 0.45, blur=5)
    # A lapel catches the light where its panel does not.
    near, far = (JACKET, JACKET_LIGHT) if lit else (JACKET_DARK, JACKET)
    b.fill(lapel, shader=linear((side * 30, 200), (side * 95, 250), [near, far]))
    if lit:
        shoulder = flipped([(100, 201), (146, 214), (184, 233), (204, 262)], side)
        b.tapered(shoulder, 5, "#C9D4CC", 0.35, blur=2.2, mode=skia.BlendMode.kSrcATop)
    b.tapered(flipped([(84, 222), (74, 232), (60, 236)], side), 2.0, JACKET_DARK, 0.8, blur=0.6)
    b.tapered(flipped([(47, 166), (44, 214), (38, 262), (20, 326)], side), 2.2, light, 0.7, blur=0.6)
