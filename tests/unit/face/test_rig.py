"""Poses and their ranges, and how skin follows them."""

import numpy as np
import pytest

from domain.mind.emotion import Emotion
from media.speaking.face.expressions import EMOTION_POSES
from media.speaking.face.muscles import CREASES, MUSCLES, bounds, pull_matrix, skin_fields
from media.speaking.face.rig import INDEX, NAMES, RANGES, Pose, posed, within_range


def test_a_name_without_a_side_sets_both_sides() -> None:
    pose = posed(smile=0.4, smile_l=0.1)
    assert pose["smile_l"] == pytest.approx(0.5)
    assert pose["smile_r"] == pytest.approx(0.4)
    assert pose["jaw"] == 0.0


def test_a_name_the_face_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no parameter 'wink'"):
        posed(wink=1.0)


def test_a_pose_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=f"has {len(NAMES)} values, not 3"):
        Pose((0.0, 0.0, 0.0))


@pytest.mark.parametrize("emotion", list(Emotion))
def test_every_emotion_is_within_the_ranges(emotion: Emotion) -> None:
    pose = EMOTION_POSES[emotion]
    for name in NAMES:
        assert within_range(name, pose[name]) == pose[name]


@pytest.mark.parametrize("name", NAMES)
def test_values_beyond_a_range_stop_at_its_ends(name: str) -> None:
    parameter = next(n for n in NAMES if n == name)
    least, most = RANGES[parameter]
    assert least < most
    assert within_range(parameter, 1000.0) == most
    assert within_range(parameter, -1000.0) == least


def test_left_and_right_pull_as_mirror_images() -> None:
    xs, ys = np.meshgrid(np.linspace(-128, 128, 33), np.linspace(-176, 176, 45))
    fields = dict(zip(MUSCLES, skin_fields(xs, ys), strict=True))
    for name, field in fields.items():
        if name.endswith("_l"):
            mirrored = fields[name[:-2] + "_r"][:, :, ::-1]
            assert np.allclose(field[0], -mirrored[0])
            assert np.allclose(field[1:], mirrored[1:])
        elif not name.endswith("_r"):
            assert np.allclose(field[1:], field[1:, :, ::-1])


def test_creases_show_only_where_a_muscle_contracts() -> None:
    least, most = bounds()
    for column, name in enumerate(MUSCLES):
        assert (least[column] == 0.0) == (name in CREASES)
        assert most[column] > 0
    # A smile that turns down pulls no cheek up.
    pulls = pull_matrix()
    frown = np.zeros(2 * len(NAMES), np.float32)
    frown[INDEX["smile_l"]] = -0.3
    assert (frown @ pulls)[MUSCLES.index("cheek_l")] == 0.0
