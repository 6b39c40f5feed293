"""Hair: guide curves, and locks and single strands laid between them."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import skia

from media.speaking.face.geometry import RECTS
from media.speaking.face.painting.brush import (
    Array,
    Brush,
    Path,
    Points,
    Shader,
    linear,
    mix,
    normals,
    resample,
    ribbon,
    spline,
)
from media.speaking.face.palette import HAIR, HAIR_DARK, HAIR_GLINT, HAIR_LIGHT, HAIR_MID

TONES: Final = (HAIR_DARK, HAIR, HAIR_MID, HAIR_LIGHT, HAIR_GLINT)
LOCK_POINTS: Final = 40
HAIRS_A_LOCK: Final = 16

LEFT_GUIDES: Final[tuple[Points, ...]] = (
    (
        (30, -114), (6, -112), (-34, -98), (-66, -66), (-82, -26), (-88, 22), (-92, 70), (-86, 118),
        (-72, 152),
    ),
    (
        (30, -122), (-2, -125), (-52, -109), (-84, -68), (-97, -18), (-101, 34), (-106, 84), (-98, 134),
        (-80, 168),
    ),
    (
        (28, -134), (-12, -142), (-64, -126), (-98, -78), (-110, -18), (-114, 40), (-120, 92), (-113, 144),
        (-92, 178),
    ),
    (
        (23, -152), (-20, -161), (-77, -141), (-111, -86), (-122, -20), (-125, 42), (-133, 94), (-129, 148),
        (-106, 183),
    ),
)  # fmt: skip
RIGHT_GUIDES: Final[tuple[Points, ...]] = (
    ((31, -114), (52, -104), (72, -84), (84, -58), (91, -34), (97, -14), (104, 14), (108, 40)),
    ((30, -130), (58, -126), (85, -101), (99, -64), (105, -32), (109, -6), (113, 24), (115, 50)),
    ((24, -153), (58, -156), (95, -126), (113, -80), (118, -36), (119, 0), (121, 34), (122, 62)),
)
BACK_LEFT: Final[tuple[Points, ...]] = (
    ((-60, -100), (-84, -20), (-82, 60), (-70, 120), (-54, 160)),
    ((-84, -100), (-96, -20), (-98, 60), (-98, 120), (-90, 172)),
)
BACK_RIGHT: Final[tuple[Points, ...]] = (
    ((60, -60), (86, 0), (90, 60), (82, 120), (58, 164)),
    ((88, -80), (110, -6), (115, 60), (112, 124), (88, 178)),
    ((100, -90), (119, -10), (127, 60), (131, 126), (108, 184)),
)
BACK_MASS: Final[Points] = (
    (0, -152), (62, -142), (108, -84), (119, -10), (124, 60), (122, 118), (106, 158), (80, 168), (50, 160),
    (0, 150), (-50, 160), (-72, 166), (-92, 158), (-104, 120), (-107, 60), (-104, -10), (-98, -84),
    (-62, -142),
)  # fmt: skip
EAR_SHOWN: Final[Points] = (
    (82, -4), (91, -9), (100, -6), (107, 4), (104, 15), (98, 32), (91, 41), (80, 36),
)  # fmt: skip
# Single hairs that break the outline.
LOOSE: Final[tuple[Points, ...]] = (
    ((10, -152), (-30, -161.5), (-80, -142), (-113, -88), (-124, -30)),
    ((26, -150), (62, -155), (98, -125), (115, -82), (121, -30)),
    ((-122, 50), (-135, 96), (-132, 148), (-112, 184)),
)

Band = tuple[float, float]  # Where along a strand the light falls, and how far it spreads.


def eased(points: Array, rounds: int = 3) -> Array:
    """The same curve without the corners that hand-placed points leave; its ends stay."""
    for _ in range(rounds):
        points = np.vstack([points[:1], (points[:-2] + 2 * points[1:-1] + points[2:]) / 4, points[-1:]])
    return points


def between(guides: Sequence[Points | Array]) -> Path:
    """The closed outline from the first guide to the last."""
    return spline([*guides[0], *reversed(guides[-1])])


def cut(guides: Sequence[Points], share: float) -> list[Array]:
    """The guides up to a share of their length: the solid part under loose tips."""
    return [resample(guide, 28)[: round(28 * share)] for guide in guides]


def along(curves: Sequence[Array], u: float) -> Array:
    i = min(int(u), len(curves) - 2)
    return curves[i] * (1 - (u - i)) + curves[i + 1] * (u - i)


def sheen(points: Array, t: Array, *, band: Band, light: float, base: float, alpha: float) -> Shader:
    """A gradient along a strand: dark at the root and the tip, lit in a soft band."""
    root, tip = points[0], points[-1]
    colours = []
    for value in np.exp(-(((t - band[0]) / band[1]) ** 2)) * light:
        x = min(max(base + value * 3.0, 0), 3.99)
        colours.append(mix(TONES[int(x)], TONES[int(x) + 1], x - int(x), alpha))
    # Position along the chord is close enough to position along the strand.
    chord = np.clip((points - root) @ (tip - root) / (np.dot(tip - root, tip - root) + 1e-9), 0, 1)
    chord = np.maximum.accumulate(chord + np.arange(len(points)) * 1e-6)
    return linear(tuple(root), tuple(tip), colours, [float(v / chord[-1]) for v in chord])


def strands(
    b: Brush,
    guides: Sequence[Points],
    count: int,
    seed: int,
    *,
    width: tuple[float, float],
    band: Band,
    light: float,
    alpha: float,
) -> None:
    """Single hairs between neighbouring guide curves."""
    rng = np.random.default_rng(seed)
    curves = [eased(resample(guide, 28)) for guide in guides]
    for _ in range(count):
        pts = along(curves, rng.uniform(0, len(curves) - 1))
        t = np.linspace(0, 1, len(pts))
        pts = pts + np.outer(np.sin(np.pi * t), rng.normal(0, 1.1, 2))
        keep = (t >= rng.uniform(0, 0.04)) & (t <= rng.uniform(0.82, 1.0))
        pts, t = pts[keep], t[keep]
        where = (band[0] + rng.normal(0, 0.035), band[1] * rng.uniform(0.8, 1.3))
        shine, base = light * rng.uniform(0.35, 1.0), float(rng.choice([0, 1, 1, 2]))
        shader = sheen(pts, t, band=where, light=shine, base=base, alpha=alpha)
        taper = np.abs(np.sin(np.pi * np.linspace(0.03, 1, len(pts)))) ** 0.6
        b.fill(ribbon(pts, rng.uniform(*width) * taper / 2), shader=shader)


def locks(
    b: Brush,
    guides: Sequence[Points],
    order: Sequence[float] | Array,
    seed: int,
    *,
    width: float,
    band: Band,
    light: float,
    wave: float,
) -> None:
    """Clumps of hair, each with a shaded edge and its own hairs, laid over one another like tiles."""
    rng = np.random.default_rng(seed)
    curves = [eased(resample(guide, LOCK_POINTS), 6) for guide in guides]
    t = np.linspace(0, 1, LOCK_POINTS)
    for k, u in enumerate(order):
        pts = along(curves, float(np.clip(u, 0, len(curves) - 1.001)))
        phase, stretch = rng.uniform(0, 2 * np.pi), rng.uniform(0.9, 1.02)
        normal = normals(pts)
        late = np.clip((t - 0.3) / 0.6, 0, 1)
        swing = wave * rng.uniform(0.4, 1) * late * np.sin(2 * np.pi * 1.15 * t + phase)
        pts = pts + normal * swing[:, None]
        n = min(LOCK_POINTS, round(LOCK_POINTS * stretch))
        lock(b, rng, (pts[:n], t[:n], normal[:n]), width=width, band=band, light=light, first=k == 0)


def lock(
    b: Brush,
    rng: np.random.Generator,
    curve: tuple[Array, Array, Array],
    *,
    width: float,
    band: Band,
    light: float,
    first: bool,
) -> None:
    pts, t, normal = curve
    n = len(pts)
    swell = np.clip(0.6 + t / 0.15, 0, 1) * np.clip((1 - t / t[-1]) / 0.34, 0, 1) ** 0.75
    half = width * rng.uniform(0.75, 1.2) / 2 * swell
    where = (band[0] + rng.normal(0, 0.02), band[1] * rng.uniform(0.85, 1.2))
    if not first:
        b.fill(ribbon(pts + normal * 1.4, half), "#150D0C", 0.55, blur=1.1)
    base = 0.8 + rng.uniform(-0.3, 0.3)
    b.fill(ribbon(pts, half), shader=sheen(pts, t, band=where, light=light * 0.55, base=base, alpha=1.0))
    lit = sheen(pts, t, band=where, light=light * 0.9, base=1.3, alpha=0.55)
    b.fill(ribbon(pts - normal * half[:, None] * 0.3, half * 0.35), shader=lit, blur=1.2)
    for _ in range(HAIRS_A_LOCK):
        single = pts + normal * (half * rng.uniform(-0.95, 0.95))[:, None]
        stop = rng.integers(int(n * 0.8), n)
        shine, base = light * rng.uniform(0.3, 1.15), float(rng.choice([0, 0.6, 1.2, 1.8]))
        shader = sheen(single[:stop], t[:stop], band=where, light=shine, base=base, alpha=0.5)
        taper = np.clip((1 - np.linspace(0, 1, stop)) / 0.3, 0.1, 1) / 1.6
        b.fill(ribbon(single[:stop], rng.uniform(0.5, 1.2) * taper), shader=shader)


def back_hair(scale: float) -> Array:
    """Hair behind neck and shoulders."""
    b = Brush(RECTS["back_hair"], scale).on_head()
    mass = spline(BACK_MASS)
    b.fill(mass, HAIR_DARK)
    b.clip(mass)
    b.glow(0, 130, 90, 130, "#120A0A", 0.8)
    b.unclip()
    left, right = np.linspace(0, 0.99, 7), [0.05, 0.4, 0.7, 1.0, 1.3, 1.9, 1.6, 1.75]
    locks(b, BACK_LEFT, left, 1, width=16, light=0.15, band=(0.5, 0.2), wave=3)
    locks(b, BACK_RIGHT, right, 2, width=19, light=0.6, band=(0.46, 0.13), wave=4)
    return b.picture()


def front_hair(scale: float) -> Array:
    """Both sides of the parting, tucked behind the persona's left ear."""
    b = Brush(RECTS["front_hair"], scale).on_head()
    b.tapered([(31, -112), (28, -132), (23, -150)], 9, HAIR_DARK, ends=(0.6, 0.4))
    b.clip_out(spline(EAR_SHOWN))
    b.fill(between(cut(RIGHT_GUIDES, 0.75)), HAIR)
    order = [1.95, 1.6, 1.3, 0.95, 0.6, 0.3, 0.05]
    band = (0.33, 0.11)
    locks(b, RIGHT_GUIDES, order, 5, width=17, band=band, light=0.62, wave=1.5)
    strands(b, RIGHT_GUIDES, 90, 6, width=(0.6, 1.6), band=band, light=0.75, alpha=0.4)
    b.unclip()
    b.fill(between(cut(LEFT_GUIDES, 0.75)), HAIR)
    order = [2.97, 2.6, 2.25, 1.9, 1.5, 1.15, 0.85, 0.55, 0.3]
    band = (0.25, 0.085)
    locks(b, LEFT_GUIDES, order, 3, width=20, band=band, light=0.95, wave=4)
    strands(b, LEFT_GUIDES, 150, 4, width=(0.6, 1.8), band=band, light=1.0, alpha=0.4)
    strands(b, LEFT_GUIDES, 60, 8, width=(0.6, 1.6), band=(0.68, 0.1), light=0.6, alpha=0.35)
    # The window's light along the outline.
    outer = LEFT_GUIDES[3]
    for points, alpha in ((outer, 0.25), ([(x + 3, y + 2) for x, y in outer], 0.125)):
        rim = [(x - 6, y - 5) for x, y in points[1:-1]]
        b.tapered(rim, 7, "#DCCFB4", alpha, blur=2.5, mode=skia.BlendMode.kSrcATop)
    for points in LOOSE:
        b.tapered(points, 0.9, HAIR_MID, 0.5)
    return b.picture()
