"""A canvas with the few strokes the persona is made of."""

# A stroke reads like one line of a recipe: place, size, colour, strength.
# ruff: noqa: PLR0917

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import skia

from media.speaking.face.geometry import ORIGIN

Array = npt.NDArray[Any]
Point = tuple[float, float]
Points = Sequence[Point]
Shader = Any  # skia publishes no types.
Path = Any
Ends = tuple[float, float]


def rgb(hexa: str, alpha: float = 1.0) -> int:
    value = int(hexa.lstrip("#"), 16)
    return int(skia.Color(value >> 16, (value >> 8) & 255, value & 255, round(alpha * 255)))


def mix(first: str, second: str, share: float, alpha: float = 1.0) -> int:
    a, b = int(first[1:], 16), int(second[1:], 16)
    channels = [round(((a >> s) & 255) * (1 - share) + ((b >> s) & 255) * share) for s in (16, 8, 0)]
    return int(skia.Color(*channels, round(alpha * 255)))


def linear(
    start: Point, end: Point, colours: Sequence[str | int], stops: Sequence[float] | None = None
) -> Shader:
    """A straight gradient; colours are hexadecimal or already packed."""
    packed = [rgb(colour) if isinstance(colour, str) else colour for colour in colours]
    places = list(stops) if stops is not None else list(np.linspace(0, 1, len(packed)))
    return skia.GradientShader.MakeLinear([skia.Point(*start), skia.Point(*end)], packed, places)


def spline(points: Points | Array, closed: bool = True, tension: float = 0.5) -> Path:
    """A smooth path through the points."""
    p = [np.asarray(q, float) for q in points]
    n = len(p)
    path = skia.Path()
    path.moveTo(*p[0])
    for i in range(n if closed else n - 1):
        before = p[(i - 1) % n] if closed or i > 0 else p[0]
        here, there = p[i % n], p[(i + 1) % n]
        after = p[(i + 2) % n] if closed or i + 2 < n else p[n - 1]
        first, second = here + (there - before) * tension / 3, there - (after - here) * tension / 3
        path.cubicTo(*first, *second, *there)
    if closed:
        path.close()
    return path


def mirrored(half: Points) -> list[Point]:
    """A closed outline from its right half, top to bottom."""
    return list(half) + [(-x, y) for x, y in reversed(half) if abs(x) > 1e-6]


def flipped(points: Points, side: float) -> list[Point]:
    return [(side * x, y) for x, y in points]


def ellipse(cx: float, cy: float, rx: float, ry: float, angle: float = 0.0) -> Path:
    path = skia.Path()
    path.addOval(skia.Rect(cx - rx, cy - ry, cx + rx, cy + ry))
    if angle:
        path.transform(skia.Matrix.RotateDeg(angle, (cx, cy)))
    return path


def box(x0: float, y0: float, x1: float, y1: float) -> Path:
    return skia.Path().addRect(skia.Rect(x0, y0, x1, y1))


def resample(points: Points | Array, n: int) -> Array:
    """Points of a Catmull-Rom curve through the given ones, evenly spread in parameter."""
    p = np.asarray(points, float)
    if len(p) == 2:
        line: Array = np.linspace(0, 1, n)[:, None]
        return np.asarray(p[0] * (1 - line) + p[1] * line)
    ext = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    u = np.linspace(0, len(p) - 1 - 1e-9, n)
    i = u.astype(int)
    t: Array = (u - i)[:, None]
    a, b, c, d = ext[i], ext[i + 1], ext[i + 2], ext[i + 3]
    cubic = (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    return np.asarray(0.5 * (2 * b + (c - a) * t + cubic))


def normals(points: Array, margin: float = 0.0) -> Array:
    d = np.gradient(points, axis=0)
    length = np.linalg.norm(d, axis=1, keepdims=True) + margin
    return np.asarray(np.stack([-d[:, 1], d[:, 0]], 1) / length)


def ribbon(points: Array, half_width: Array) -> Path:
    """The outline of a stroke whose width changes along its way."""
    normal = normals(points, 1e-9)
    left, right = points + normal * half_width[:, None], points - normal * half_width[:, None]
    path = skia.Path()
    path.addPoly([skia.Point(*q) for q in np.vstack([left, right[::-1]])], True)
    return path


GLOW_STOPS: Final = (0.0, 0.35, 0.7, 1.0)
GLOW_ALPHAS: Final = (1.0, 0.72, 0.22, 0.0)


class Brush:
    """A picture of a rectangle, painted in linear order and read out once."""

    def __init__(self, rect: tuple[float, float, float, float], scale: float) -> None:
        x0, y0, x1, y1 = rect
        self.width, self.height = math.ceil((x1 - x0) * scale), math.ceil((y1 - y0) * scale)
        info = skia.ImageInfo.Make(
            self.width, self.height, skia.ColorType.kRGBA_F16_ColorType, skia.AlphaType.kPremul_AlphaType
        )
        self.surface = skia.Surface.MakeRaster(info)
        self.canvas = self.surface.getCanvas()
        self.canvas.scale(scale, scale)
        self.canvas.translate(-x0, -y0)

    def on_head(self) -> "Brush":
        """From here on, strokes are in head coordinates."""
        self.canvas.translate(*ORIGIN)
        return self

    def paint(
        self,
        color: str | None = None,
        alpha: float = 1.0,
        blur: float = 0.0,
        shader: Shader = None,
        mode: Any = None,
        stroke: float | None = None,
    ) -> Any:
        p = skia.Paint(AntiAlias=True, Dither=True)
        if color is not None:
            p.setColor(rgb(color, alpha))
        if shader is not None:
            p.setShader(shader)
            p.setAlphaf(alpha)
        if blur:
            p.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, blur))
        if mode is not None:
            p.setBlendMode(mode)
        if stroke is not None:
            p.setStyle(skia.Paint.kStroke_Style)
            p.setStrokeWidth(stroke)
            p.setStrokeCap(skia.Paint.kRound_Cap)
            p.setStrokeJoin(skia.Paint.kRound_Join)
        return p

    def fill(
        self,
        path: Path,
        color: str | None = None,
        alpha: float = 1.0,
        blur: float = 0.0,
        shader: Shader = None,
        mode: Any = None,
    ) -> None:
        self.canvas.drawPath(path, self.paint(color, alpha, blur, shader, mode))

    def stroke(self, path: Path, color: str, width: float, alpha: float = 1.0, blur: float = 0.0) -> None:
        self.canvas.drawPath(path, self.paint(color, alpha, blur, stroke=width))

    def dot(
        self, cx: float, cy: float, radius: float, color: str, alpha: float = 1.0, blur: float = 0.0
    ) -> None:
        self.canvas.drawCircle(cx, cy, radius, self.paint(color, alpha, blur))

    def glow(
        self, cx: float, cy: float, rx: float, ry: float, color: str, alpha: float, angle: float = 0.0
    ) -> None:
        """A soft elliptical spot, opaque in the middle and gone at its rim."""
        tones = [rgb(color, alpha * share) for share in GLOW_ALPHAS]
        matrix = skia.Matrix()
        matrix.preTranslate(cx, cy)
        matrix.preRotate(angle)
        matrix.preScale(rx, ry)
        shader = skia.GradientShader.MakeRadial(
            (0, 0), 1.0, tones, list(GLOW_STOPS), skia.TileMode.kClamp, 0, matrix
        )
        self.fill(ellipse(cx, cy, rx, ry, angle), shader=shader)

    def tapered(
        self,
        points: Points | Array,
        width: float,
        color: str,
        alpha: float = 1.0,
        blur: float = 0.0,
        mode: Any = None,
        ends: Ends = (0.0, 0.0),
    ) -> None:
        """A stroke that swells in the middle: a pen under pressure. `ends` are shares of the width."""
        pts = resample(points, 24)
        t = np.linspace(0, 1, len(pts))
        swell = np.sin(np.pi * t) ** 0.7
        half = width * (swell + (1 - swell) * (ends[0] * (1 - t) + ends[1] * t)) / 2
        self.fill(ribbon(pts, half), color, alpha, blur, mode=mode)

    def clip(self, path: Path) -> None:
        self.canvas.save()
        self.canvas.clipPath(path, skia.ClipOp.kIntersect, True)

    def clip_out(self, path: Path) -> None:
        self.canvas.save()
        self.canvas.clipPath(path, skia.ClipOp.kDifference, True)

    def unclip(self) -> None:
        self.canvas.restore()

    def picture(self) -> Array:
        """What was painted: premultiplied float32 RGBA (height, width, 4)."""
        out: Array = np.zeros((self.height, self.width, 4), np.float16)
        self.surface.readPixels(self.surface.imageInfo(), out, self.width * 8, 0, 0)
        return out.astype(np.float32)
