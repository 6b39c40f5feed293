"""Texts as vectors, so that texts that mean the same lie close together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 384

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Blocks for as long as it computes: call it in an executor. Safe to call from several threads."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row of DIMENSIONS numbers for each text, of length 1, so that a product is a cosine."""
        ...
