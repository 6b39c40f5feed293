"""The head as a surface: how deep it is, and how its skin follows the muscles.

Every motion of skin is a field over the head weighted by a muscle, and every muscle a sum over
parameters. Depths are in head units, positive towards the viewer.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from media.speaking.face.rig import INDEX, NAMES, ParameterName

Array = npt.NDArray[Any]
Plane = tuple[Array, Array, Array]  # dx, dy and crease of one muscle at full strength.

# Each muscle as weights of parameters, and of parameters that count only above zero.
Pull = tuple[dict[ParameterName, float], dict[ParameterName, float]]
PULLS: Final[dict[str, Pull]] = {
    "brow_inner_l": ({"brow_inner_l": 1.0}, {}),
    "brow_inner_r": ({"brow_inner_r": 1.0}, {}),
    "brow_outer_l": ({"brow_outer_l": 1.0}, {}),
    "brow_outer_r": ({"brow_outer_r": 1.0}, {}),
    "furrow": ({"furrow": 1.0}, {}),
    "jaw": ({"jaw": 1.0}, {}),
    "round": ({"round": 1.0}, {}),
    "cheek_l": ({"cheek": 0.6, "squint_l": 0.3}, {"smile_l": 0.8}),
    "cheek_r": ({"cheek": 0.6, "squint_r": 0.3}, {"smile_r": 0.8}),
    "wing_l": ({}, {"smile_l": 1.0}),
    "wing_r": ({}, {"smile_r": 1.0}),
    "flare": ({"nose": 1.0}, {}),
    "forehead": ({}, {"brow_inner_l": 1.0, "brow_inner_r": 1.0}),
    "fold_l": ({"nose": 0.7, "upper": 0.15, "wide": 0.15}, {"smile_l": 0.85}),
    "fold_r": ({"nose": 0.7, "upper": 0.15, "wide": 0.15}, {"smile_r": 0.85}),
    "crow_l": ({"squint_l": 0.7}, {"smile_l": 0.3}),
    "crow_r": ({"squint_r": 0.7}, {"smile_r": 0.3}),
    "lines_l": ({"brow_inner_l": 0.5, "brow_outer_l": 0.5}, {}),
    "lines_r": ({"brow_inner_r": 0.5, "brow_outer_r": 0.5}, {}),
    "frown_lines": ({}, {"furrow": 1.0}),
    "nose_lines": ({}, {"nose": 1.0}),
    "blush": ({}, {"blush": 1.0}),
    "pale": ({}, {"pale": 1.0}),
}
MUSCLES: Final = tuple(PULLS)
CREASES: Final = ("fold_l", "fold_r", "crow_l", "crow_r", "lines_l", "lines_r", "frown_lines", "nose_lines")


def smooth(x: Array, a: float, b: float) -> Array:
    t = np.clip((x - a) / (b - a), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def bump(x: Array, y: Array, cx: float, cy: float, sx: float, sy: float) -> Array:  # noqa: PLR0917
    return np.asarray(np.exp(-(((x - cx) / sx) ** 2) - ((y - cy) / sy) ** 2))


def face_depth(x: Array, y: Array) -> Array:
    dome = 82 * (1 - (x / 104) ** 2) * (1 - ((y - 10) / 190) ** 2)
    nose = 20 * np.exp(-((x / 13) ** 2)) * smooth(y, -20, 48) * (1 - smooth(y, 52, 70))
    sockets = -7 * (bump(x, y, -42, 0, 22, 14) + bump(x, y, 42, 0, 22, 14))
    return np.asarray(np.maximum(dome, -40) + nose + sockets)


def hair_depth(x: Array, y: Array) -> Array:
    return np.asarray(np.maximum(74 * (1 - (x / 128) ** 2) * (1 - (y / 190) ** 2), -30) + 4)


def back_depth(x: Array, y: Array) -> Array:
    """Flat at the crown, or a nod would open a hole there; behind the head at the sides."""
    return np.asarray(-30.0 * smooth(y, -90, 30) + 0 * x)


def pull_matrix() -> Array:
    """(2 * parameters, muscles): rows for the parameters, then for what of them is above zero."""
    out = np.zeros((2 * len(NAMES), len(MUSCLES)), np.float32)
    for column, muscle in enumerate(MUSCLES):
        always, above = PULLS[muscle]
        for name, weight in always.items():
            out[INDEX[name], column] = weight
        for name, weight in above.items():
            out[INDEX[name] + len(NAMES), column] = weight
    return out


def bounds() -> Array:
    """(2, muscles): least and greatest strength; a crease is never negative."""
    return np.array([(0.0, 1.0) if name in CREASES else (-2.0, 2.0) for name in MUSCLES], np.float32).T


def skin_fields(x: Array, y: Array) -> Array:
    """(muscles, 5, h, w): dx, dy, crease, flush and pallor of each muscle at full strength."""
    none = np.zeros_like(x)
    planes = {
        **one_sided(x, y, none, 1, "l"),
        **one_sided(x, y, none, -1, "r"),
        **both_sided(x, y, none),
    }
    spots = bump(x, y, -52, 40, 36, 26) + bump(x, y, 52, 40, 36, 26) + 0.4 * bump(x, y, 0, 46, 14, 12)
    out = {name: np.stack([*plane, none, none]) for name, plane in planes.items()}
    out["blush"] = np.stack([none, none, none, 0.35 * spots, none])
    out["pale"] = np.stack([none, none, none, none, none + 0.32])
    return np.stack([out[name] for name in MUSCLES])


def one_sided(x: Array, y: Array, none: Array, s: int, side: str) -> dict[str, Plane]:
    half = smooth(s * x, -4, 4)
    cheek = bump(x, y, s * 55, 46, 28, 26)
    crow = half * smooth(y, 0, 6) * (1 - smooth(y, 34, 42)) * smooth(abs(x), 18, 26)
    return {
        f"brow_inner_{side}": (none, -11 * bump(x, y, s * 20, -33, 19, 19), none),
        f"brow_outer_{side}": (none, -10 * bump(x, y, s * 58, -36, 24, 20), none),
        f"cheek_{side}": (s * 3 * cheek, -7 * cheek, none),
        f"wing_{side}": (s * 1.6 * bump(x, y, s * 16, 54, 9, 12), none, none),
        f"fold_{side}": (none, none, half * smooth(y, 36, 44)),
        f"crow_{side}": (none, none, crow),
        f"lines_{side}": (none, none, half * (1 - smooth(y, -52, -46))),
    }


def both_sided(x: Array, y: Array, none: Array) -> dict[str, Plane]:
    inner_l, inner_r = (bump(x, y, s * 20, -33, 19, 19) for s in (1, -1))
    wing_l, wing_r = (bump(x, y, s * 16, 54, 9, 12) for s in (1, -1))
    chin = smooth(y, 84, 134) * (1 - smooth(abs(x), 70, 104))
    middle = 1 - smooth(abs(x), 16, 26)
    frown = smooth(y, -48, -44) * (1 - smooth(y, -14, -8)) * middle
    return {
        "furrow": (-6 * (inner_l - inner_r), 4 * (inner_l + inner_r), none),
        "flare": (1.5 * (wing_l - wing_r), -4 * (wing_l + wing_r), none),
        "forehead": (none, -3 * bump(x, y, 0, -62, 60, 26), none),
        "jaw": (-0.045 * x * smooth(y, 60, 120), 13 * chin, none),
        "round": (-0.10 * x * bump(x, y, 0, 92, 40, 26), none, none),
        "frown_lines": (none, none, frown),
        "nose_lines": (none, none, smooth(y, -8, -2) * (1 - smooth(y, 22, 30)) * middle),
    }
