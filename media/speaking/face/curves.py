"""The outlines of eyes and mouth: curves y(x), linear in a handful of coefficients over a fixed basis, so
that one small product gives the outlines of a whole batch. Left eyes and right eyes share one basis."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from media.speaking.face.geometry import LID_HALF, MOUTH_REACH
from media.speaking.face.muscles import smooth
from media.speaking.face.rig import ParameterName
from media.speaking.face.warp import Parameters

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


def eye_pair(p: Parameters, left: ParameterName, right: ParameterName) -> Tensor:
    """One value per eye, all left eyes first: (2 B,)."""
    return torch.cat([p[left], p[right]])


def eye_weights(p: Parameters) -> Tensor:
    """(2 B, coefficients)."""
    blink = eye_pair(p, "blink_l", "blink_r").clamp(0, 1)
    squint = eye_pair(p, "squint_l", "squint_r")
    lid, look = p["lid"].repeat(2), p["gaze_y"].repeat(2)
    opened = 1 - blink
    height = (11.6 + 4.4 * lid - 2.2 * squint - 1.9 * look.clamp(min=-1.2)).clamp_(min=0)
    depth = (6.6 + 0.8 * lid.clamp(min=0) - 4.4 * squint + look).clamp_(min=0.5)
    crease = opened * (5.6 - 1.2 * lid)
    return torch.stack([torch.ones_like(blink), blink, opened, opened * height, opened * depth, crease], 1)


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


def mouth_weights(p: Parameters) -> tuple[Tensor, Tensor]:
    """(B, coefficients), and one over the half widths, left and right: (B, 2, 1, 1)."""
    jaw, rnd, fun, wide = p["jaw"], p["round"], p["funnel"], p["wide"]
    press, tuck, left, right = p["press"], p["tuck"], p["smile_l"], p["smile_r"]
    both_up = (left + right).clamp(min=0) * 0.5
    width = 31.0 + 6.2 * wide - 11.2 * rnd - 6.2 * fun - 2.2 * jaw + 1.5 * press
    halves = torch.stack([width + 7.0 * left.clamp(min=0), width + 7.0 * right.clamp(min=0)], 1)
    seal = (1 - press).clamp(0, 1)
    bowed = 1 - 0.75 * torch.maximum(rnd, fun).clamp(0, 1)
    lift = 2.4 * jaw + 6.5 * p["upper"] + 5.5 * both_up * jaw.clamp(0, 0.4)
    up = (lift + 1.6 * fun + 2.2 * tuck + 1.2 * rnd) * seal
    down = (17.5 * jaw + 5.5 * p["lower"] + 1.6 * fun + 1.4 * rnd) * seal * (1 - 0.85 * tuck)
    flat = torch.exp(down * -0.25) - 1
    slim = 1 - 0.42 * press - 0.12 * jaw
    full = 8.4 * (slim - 0.22 * both_up + 0.06 * rnd + 0.2 * fun - 0.1 * wide)
    full_low = 10.6 * (slim - 0.16 * both_up + 0.04 * rnd + 0.12 * fun - 0.45 * tuck)
    one = torch.ones_like(jaw)
    lips = [up, down, flat, flat * bowed, full, full * bowed, full_low]
    weights = torch.stack([one, bowed, left, right, p["frown"], both_up, *lips], 1)
    return weights, (1 / halves).view(-1, 2, 1, 1)
