"""The parameters of the face, and a pose: one value for each.

Left and right are the persona's own (her left is on the right of the picture).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

ParameterName = Literal[
    "yaw", "pitch", "roll", "shift_x", "shift_y", "lean", "breath", "sway",
    "gaze_x", "gaze_y", "blink_l", "blink_r", "lid", "squint_l", "squint_r",
    "brow_inner_l", "brow_inner_r", "brow_outer_l", "brow_outer_r", "furrow",
    "jaw", "wide", "round", "funnel", "upper", "lower", "press", "tuck", "tongue",
    "smile_l", "smile_r", "frown", "mouth_x", "cheek", "nose", "blush", "pale",
]  # fmt: skip
NAMES: Final[tuple[ParameterName, ...]] = get_args(ParameterName)
INDEX: Final[dict[ParameterName, int]] = {name: i for i, name in enumerate(NAMES)}

PAIRS: Final = ("smile", "squint", "blink", "brow_inner", "brow_outer")
# What moves whole layers; a change of any other parameter may show in no layer's position.
OUTER: Final[tuple[ParameterName, ...]] = (
    "yaw", "pitch", "roll", "shift_x", "shift_y", "lean", "breath", "sway",
)  # fmt: skip
# The mouth's parameters that speech may drive; everything else belongs to emotion, gaze and head.
MouthName = Literal["jaw", "wide", "round", "funnel", "upper", "lower", "press", "tuck", "tongue"]
MOUTH: Final[tuple[MouthName, ...]] = get_args(MouthName)

# Beyond these the drawing comes apart: a flat cheek, an iris out of its eye, a seam at the crown. Degrees
# for yaw (+ to the viewer's right), pitch (+ down) and roll (+ clockwise); pixels for shift; a lean of
# 1 is 6 % larger; a gaze of 1 is 25 degrees.
_RANGES: Final[dict[ParameterName, tuple[float, float]]] = {
    "yaw": (-14.0, 14.0),
    "pitch": (-9.0, 13.0),
    "roll": (-7.0, 7.0),
    "shift_x": (-8.0, 8.0),
    "shift_y": (-8.0, 8.0),
    "lean": (-1.0, 1.0),
    "sway": (-1.0, 1.0),
    "gaze_x": (-0.6, 0.6),
    "gaze_y": (-0.6, 0.6),
    "lid": (-1.0, 1.0),
    "brow_inner_l": (-1.0, 1.2),
    "brow_inner_r": (-1.0, 1.2),
    "brow_outer_l": (-1.0, 1.2),
    "brow_outer_r": (-1.0, 1.2),
    "wide": (-0.3, 1.0),
    "smile_l": (-0.3, 1.2),
    "smile_r": (-0.3, 1.2),
    "mouth_x": (-1.0, 1.0),
}
RANGES: Final[dict[ParameterName, tuple[float, float]]] = {
    name: _RANGES.get(name, (0.0, 1.0)) for name in NAMES
}


@dataclass(frozen=True, slots=True)
class Pose:
    """One frame of one face; `values` in the order of `NAMES`."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.values) != len(NAMES):
            raise ValueError(f"a pose has {len(NAMES)} values, not {len(self.values)}")

    def __getitem__(self, name: ParameterName) -> float:
        return self.values[INDEX[name]]


def posed(**values: float) -> Pose:
    """A pose from names; a name without a side sets both, a name left out is 0."""
    out = dict.fromkeys(map(str, NAMES), 0.0)
    for name, value in values.items():
        for full in (f"{name}_l", f"{name}_r") if name in PAIRS else (name,):
            if full not in out:
                raise ValueError(f"the face has no parameter {name!r}")
            out[full] += value
    return Pose(tuple(out.values()))


def within_range(name: ParameterName, value: float) -> float:
    least, most = RANGES[name]
    return min(max(value, least), most)


class Batch:
    """The poses of one batch by parameter, each (sessions,), on the host.

    What depends on a pose alone is a few hundred numbers: arithmetic on them costs less here than the
    dispatch of as many tensor operations, and nothing has to be read back from a device.
    """

    def __init__(self, poses: Sequence[Pose]) -> None:
        self.values: npt.NDArray[Any] = np.array([pose.values for pose in poses], np.float64)

    def __getitem__(self, name: ParameterName) -> npt.NDArray[Any]:
        column: npt.NDArray[Any] = self.values[:, INDEX[name]]
        return column

    def __len__(self) -> int:
        return len(self.values)
