"""Word error rate, on sentences that can be counted by hand."""

from __future__ import annotations

import pytest

from ops.caller.word_errors import word_error_rate


@pytest.mark.parametrize(
    ("heard", "rate"),
    [
        ("Ask not what your country can do", 0.0),
        ("ask NOT, what your country can do.", 0.0),
        ("ask what your country can do", 1 / 7),
        ("ask not what our country can do", 1 / 7),
        ("ask not what your own country can do", 1 / 7),
        ("", 1.0),
        ("and so on and so on and so on and on", 11 / 7),
    ],
)
def test_each_wrong_word_counts_once(heard: str, rate: float) -> None:
    assert word_error_rate("Ask not what your country can do", heard) == pytest.approx(rate)
