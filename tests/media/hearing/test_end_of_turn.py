"""How likely a speaker has finished."""

import numpy as np
import pytest

from media.hearing.end_of_turn import WINDOW_SAMPLES
from tests.media.hearing.speech import jfk, part, silence, smart_turn

# Made by the network's own reference code from the same sound.
REFERENCE = {
    (0, 0): 1.61305,
    (3, 40): 0.08727,
    (79, 799): 0.66418,
    (26, 100): 1.66496,
    (22, 100): 0.39584,
    (53, 300): 1.56285,
    (49, 300): -0.32228,
    (66, 500): 1.49768,
    (62, 500): -0.32228,
    (74, 700): 1.49996,
    (70, 700): -0.32228,
}


def test_features_are_those_the_network_was_trained_on() -> None:
    time_s = np.arange(WINDOW_SAMPLES) / 16_000
    rising = (0.3 * np.sin(2 * np.pi * (100 + 450 * time_s) * time_s)).astype(np.float32)

    features = smart_turn().features(rising)

    assert features.shape == (80, 800)
    found = {place: float(features[place]) for place in REFERENCE}
    assert found == pytest.approx(REFERENCE, abs=1e-4)


def test_a_speech_that_is_over_sounds_more_finished_than_one_cut_in_mid_sentence() -> None:
    judge = smart_turn()

    whole = judge.probability(jfk())
    cut = judge.probability(part(jfk(), 0.0, 4.5))

    assert whole > 0.5 > cut


def test_only_the_last_eight_seconds_count() -> None:
    judge = smart_turn()
    recent = part(jfk(), 2.0, 10.0)

    assert judge.probability(jfk()[: 2 * 160_000]) == judge.probability(recent)


@pytest.mark.parametrize("pcm16", [b"", b"\0\0", silence(0.05)], ids=["nothing", "one sample", "a breath"])
def test_hardly_any_sound_is_judged_too(pcm16: bytes) -> None:
    assert 0.0 <= smart_turn().probability(pcm16) <= 1.0
