"""The outlines of eyes and mouth: curves y(x), linear in a handful of coefficients over a fixed basis, so
that one small product gives the outlines of a whole batch. Left eyes and right eyes share one basis."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from media.speaking.face.geometry import LID_HALF, MOUTH_REACH
from media.speaking.face.muscles import smooth
from media.speaking.face.rig import Batch, ParameterName

Array = npt.NDArray[Any]
EYE_POINTS, MOUTH_POINTS = 97, 121
EYE_WIDTH: Final = 46.0  # From corner to corner, in eye units.
EYE_INNER: Final = 22.5  # From the iris at rest to the inner corner.


def bump(d: Array) -> Array:
    return np.asarray(np.exp(-(d * d)))


def eye_basis() -> Array:
    """(coefficients, curves, n): upper lid, lower lid, crease, lash thickness; see `eye_weights`."""
    e = np.linspace(-LID_HALF, LID_HALF, EYE_POINTS)
    u = (e + EYE_INNER) / EYE_WIDTH  # 0 at the inner corner, 1 at the outer one.
    uc = np.clip(u, 0, 1)
    one, none = np.ones_like(e), np.zeros_like(e)
    base, within = 2.6 - 4.9 * u, (u <= 1).astype(float)
    rise = np.clip(np.sin(np.pi * uc**0.86), 0, None) ** 0.74
    sag = np.clip(np.sin(np.pi * uc**1.2), 0, None) ** 0.85
    outside, beyond = abs(u - uc) * EYE_WIDTH, np.clip(u - 1, 0, None) * EYE_WIDTH
    thick = np.where(u <= 1, 0.8 + 1.9 * uc**1.4, np.clip(2.7 - 0.62 * beyond, 0, None))
    lash = thick * smooth(u, 0.03, 0.25)
    always = [base + 0.25 * outside * within + 0.1 * beyond, base - 0.6 * outside, base + 1.0, lash]
    closed = [4.6 * sag * within, 4.6 * sag + 0.1 * one, -8.0 * rise, none]
    opened = [-0.5 * beyond, none, none, none]
    lid_height = [-rise * within, none, -(rise**0.9), none]
    lower_depth = [none, sag, none, none]
    lid_to_crease = [none, none, -(rise**0.9), none]
    return np.array([always, closed, opened, lid_height, lower_depth, lid_to_crease])


def eye_pair(batch: Batch, left: ParameterName, right: ParameterName) -> Array:
    """One value per eye, all left eyes first: (2 B,)."""
    return np.concatenate([batch[left], batch[right]])


def eye_weights(batch: Batch) -> Array:
    """(2 B, coefficients)."""
    blink = eye_pair(batch, "blink_l", "blink_r").clip(0, 1)
    squint = eye_pair(batch, "squint_l", "squint_r")
    lid, look = np.tile(batch["lid"], 2), np.tile(batch["gaze_y"], 2)
    opened = 1 - blink
    height = np.maximum(11.6 + 4.4 * lid - 2.2 * squint - 1.9 * np.maximum(look, -1.2), 0)
    depth = np.maximum(6.6 + 0.8 * np.maximum(lid, 0) - 4.4 * squint + look, 0.5)
    crease = opened * (5.6 - 1.2 * lid)
    return np.stack([np.ones_like(blink), blink, opened, opened * height, opened * depth, crease], 1)


def mouth_basis() -> Array:
    """(coefficients, curves, n): outer and inner edge of the upper lip, inner and outer of the lower;
    see `mouth_weights`."""
    s = np.linspace(-MOUTH_REACH, MOUTH_REACH, MOUTH_POINTS)
    sc = np.clip(abs(s), 0, 1)
    inside, none = 1 - sc**2, np.zeros_like(s)
    wave = 1.5 * bump(sc / 0.22) - 0.8 * bump((sc - 0.45) / 0.25)
    bow = 0.10 * bump((sc - 0.3) / 0.16) - 0.24 * bump(sc / 0.16)
    upper, lower = inside**0.7, np.clip(1 - sc**2.6, 0, None) ** 0.58
    corner = -7.6 * sc**2.4

    def every(curve: Array) -> list[Array]:
        return [curve] * 4

    rows = (
        every(0.5 * sc - 1.8 * sc**2.4),  # always
        every(wave),  # bowed
        every(corner * (s > 0)),  # smile, left
        every(corner * (s <= 0)),  # smile, right
        every(6.0 * sc**1.8 - 2.0 * inside),  # frown
        every(1.2 * inside),  # both smiles
        [-(inside**0.56), -(inside**0.56), none, none],  # upper lip up
        [none, none, inside**0.52, inside**0.52],  # lower lip down
        [none, none, 0.5 * sc, 0.5 * sc],  # an open mouth straightens the lower lip
        [none, none, wave, wave],  # the same, bowed
        [-upper, none, none, none],  # fullness of the upper lip
        [-upper * bow, none, none, none],  # the same, bowed
        [none, none, none, lower],  # fullness of the lower lip
    )
    return np.array(rows)


def mouth_weights(batch: Batch) -> tuple[Array, Array]:
    """(B, coefficients), and one over the half widths, left and right: (B, 2)."""
    jaw, rnd, fun, wide = batch["jaw"], batch["round"], batch["funnel"], batch["wide"]
    press, tuck, left, right = batch["press"], batch["tuck"], batch["smile_l"], batch["smile_r"]
    both_up = np.maximum(left + right, 0) * 0.5
    width = 31.0 + 6.2 * wide - 11.2 * rnd - 6.2 * fun - 2.2 * jaw + 1.5 * press
    halves = np.stack([width + 7.0 * np.maximum(left, 0), width + 7.0 * np.maximum(right, 0)], 1)
    seal = (1 - press).clip(0, 1)
    bowed = 1 - 0.75 * np.maximum(rnd, fun).clip(0, 1)
    lift = 2.4 * jaw + 6.5 * batch["upper"] + 5.5 * both_up * jaw.clip(0, 0.4)
    up = (lift + 1.6 * fun + 2.2 * tuck + 1.2 * rnd) * seal
    down = (17.5 * jaw + 5.5 * batch["lower"] + 1.6 * fun + 1.4 * rnd) * seal * (1 - 0.85 * tuck)
    flat = np.exp(down * -0.25) - 1
    slim = 1 - 0.42 * press - 0.12 * jaw
    full = 8.4 * (slim - 0.22 * both_up + 0.06 * rnd + 0.2 * fun - 0.1 * wide)
    full_low = 10.6 * (slim - 0.16 * both_up + 0.04 * rnd + 0.12 * fun - 0.45 * tuck)
    one = np.ones_like(jaw)
    lips = [up, down, flat, flat * bowed, full, full * bowed, full_low]
    return np.stack([one, bowed, left, right, batch["frown"], both_up, *lips], 1), 1 / halves
