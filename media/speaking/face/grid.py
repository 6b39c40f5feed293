"""The coarse grid on which the frame is warped, and the way from its nodes to pixels."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from media.speaking.face.colour import to_tensor
from media.speaking.face.geometry import SIZE, Rect

NODE: Final = 16  # Pixels from node to node.
NODES: Final = SIZE // NODE + 1  # In each direction.


def interpolation(pixels: int, nodes: int) -> npt.NDArray[Any]:
    """(pixels, nodes): Catmull-Rom weights from grid nodes to pixel centres. With them as a matrix, two
    small products bring a grid to its pixels, faster than resampling it."""
    out = np.zeros((pixels, nodes), np.float32)
    place = (np.arange(pixels) + 0.5) * (nodes - 1) / pixels
    i = np.minimum(place.astype(int), nodes - 2)
    t = place - i
    weights = (
        -0.5 * t + t**2 - 0.5 * t**3,
        1 - 2.5 * t**2 + 1.5 * t**3,
        0.5 * t + 2 * t**2 - 1.5 * t**3,
        -0.5 * t**2 + 0.5 * t**3,
    )
    for k, weight in enumerate(weights):
        np.add.at(out, (np.arange(pixels), np.clip(i + k - 1, 0, nodes - 1)), weight)
    return out


class Grid:
    """`x` and `y` (1, n, n) are the nodes' frame coordinates; `weights` (512, n) serve both directions."""

    def __init__(self, device: torch.device) -> None:
        line = np.linspace(0, SIZE, NODES, dtype=np.float32)
        across, down = np.meshgrid(line, line)
        self.x, self.y = to_tensor(across, device)[None], to_tensor(down, device)[None]
        self.weights = to_tensor(interpolation(SIZE, NODES), device)

    def spread(self, coarse: Tensor, box: Rect) -> Tensor:
        """Coarse channels (B, C, n, n) at every pixel of a box of the frame."""
        x0, y0, x1, y1 = box
        top, bottom = max(0, y0 // NODE - 1), min(NODES, y1 // NODE + 3)
        left, right = max(0, x0 // NODE - 1), min(NODES, x1 // NODE + 3)
        columns = coarse[:, :, top:bottom, left:right] @ self.weights[x0:x1, left:right].T
        return self.weights[y0:y1, top:bottom] @ columns
