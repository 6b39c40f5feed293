"""An embedder without a model: texts are near when they share the stems of their words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from activities.knowledge.embedding import DIMENSIONS, Vectors
from domain.mind.grounded import content_words, stem


class WordEmbedder:
    """Each stem has a direction of its own; what has no words points away from everything."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors: Vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in content_words(text):
                hashed = int.from_bytes(hashlib.sha256(stem(word).encode()).digest()[:8], "big")
                vectors[row, hashed % (DIMENSIONS - 1)] += 1
            if not vectors[row].any():
                vectors[row, DIMENSIONS - 1] = 1
            vectors[row] /= np.linalg.norm(vectors[row])
        return vectors
