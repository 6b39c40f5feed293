"""What keeps the face alive: repeatable, within bounds, and in step with the conversation."""

import itertools
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.mind.emotion import Emotion
from domain.speech import Sound
from media.speaking.face.expressions import EMOTION_POSES
from media.speaking.face.motion import FaceMotion
from media.speaking.face.rig import NAMES, RANGES, ParameterName, Pose
from media.speaking.face.springs import Breath, Spring
from media.speaking.face.visemes import FRAME_S, VISEMES, MouthTrack

FRAMES_A_MINUTE = 1500
SENTENCE = MouthTrack(
    Sound(phoneme, k * 0.08, (k + 1) * 0.08, stress=phoneme == "ɛ")
    for k, phoneme in enumerate("wi hæv jʊɹ klAm ænd wi pAd ɪt ɑn θɜzdA wɛl ")
)


def listened(motion: FaceMotion, frames: int, emotion: Emotion = Emotion.NEUTRAL) -> list[Pose]:
    return [
        motion.step(emotion=emotion, strength=0.6, speaking=False, mouth=None, at_s=0.0)
        for _ in range(frames)
    ]


def spoke(motion: FaceMotion, frames: int, emotion: Emotion = Emotion.CONTENT) -> list[Pose]:
    return [
        motion.step(emotion=emotion, strength=0.6, speaking=True, mouth=SENTENCE, at_s=(k % 85) * FRAME_S)
        for k in range(frames)
    ]


def blinks(poses: list[Pose]) -> int:
    shut = [pose["blink_l"] > 0.9 for pose in poses]
    return sum(now and not before for before, now in itertools.pairwise(shut))


def test_the_same_chance_and_the_same_steps_give_the_same_motion() -> None:
    def run(seed: int) -> list[Pose]:
        motion = FaceMotion(Random(seed))
        poses = listened(motion, 50)
        motion.nod()
        poses += listened(motion, 30)
        motion.raise_brows()
        return poses + spoke(motion, 100)

    assert run(4) == run(4)
    assert run(4) != run(5)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    script=st.lists(
        st.tuples(st.sampled_from(list(Emotion)), st.floats(-1.0, 2.0), st.booleans(), st.booleans()),
        min_size=1,
        max_size=12,
    ),
)
def test_every_pose_is_within_the_ranges(seed: int, script: list[tuple[Emotion, float, bool, bool]]) -> None:
    motion = FaceMotion(Random(seed))
    for emotion, strength, speaking, cue in script:
        if cue:
            motion.nod()
            motion.raise_brows()
        for k in range(15):
            pose = motion.step(
                emotion=emotion,
                strength=strength,
                speaking=speaking,
                mouth=SENTENCE if speaking else None,
                at_s=k * FRAME_S,
            )
            for name in NAMES:
                least, most = RANGES[name]
                assert least <= pose[name] <= most


@pytest.mark.parametrize(("move", "least", "most"), [(listened, 11, 22), (spoke, 17, 32)])
def test_blinks_come_as_often_as_peoples(
    move: Callable[[FaceMotion, int], list[Pose]], least: float, most: float
) -> None:
    a_minute = blinks(move(FaceMotion(Random(2)), 8 * FRAMES_A_MINUTE)) / 8
    assert least < a_minute < most


def test_the_listener_looks_at_the_viewer_and_the_speaker_looks_away_more() -> None:
    def away(poses: list[Pose]) -> float:
        return sum(abs(p["gaze_x"]) > 0.1 or abs(p["gaze_y"]) > 0.1 for p in poses) / len(poses)

    quiet = away(listened(FaceMotion(Random(3)), 4 * FRAMES_A_MINUTE))
    loud = away(spoke(FaceMotion(Random(3)), 4 * FRAMES_A_MINUTE))
    assert quiet < 0.09
    assert quiet * 1.5 < loud < 0.3


def test_who_begins_to_listen_looks_at_the_viewer_at_once() -> None:
    motion = FaceMotion(Random(7))
    while abs(spoke(motion, 1)[0]["gaze_x"]) < 0.15:
        pass
    assert abs(listened(motion, 1)[0]["gaze_x"]) < 0.1


def test_a_nod_goes_down_and_comes_back() -> None:
    still, nodding = FaceMotion(Random(5)), FaceMotion(Random(5))
    listened(still, 40)
    listened(nodding, 40)
    before = listened(nodding, 1)[0]["pitch"]
    nodding.nod()
    pitches = [pose["pitch"] - before for pose in listened(nodding, 30)]
    assert max(pitches) > 2.0
    assert pitches.index(max(pitches)) < 8
    assert abs(pitches[-1]) < 1.5


def test_nods_do_not_pile_up() -> None:
    once, often = FaceMotion(Random(6)), FaceMotion(Random(6))
    once.nod()
    often.nod()
    often.nod()
    first, second = listened(once, 8), []
    for _ in range(8):
        often.nod()
        second += listened(often, 1)
    assert first == second


def test_brows_go_up_at_a_cue_and_come_down_again() -> None:
    motion = FaceMotion(Random(8))
    before = listened(motion, 30)[-1]["brow_outer_l"]
    motion.raise_brows()
    heights = [pose["brow_outer_l"] - before for pose in listened(motion, 50)]
    assert max(heights[:16]) > 0.3
    assert abs(heights[-1]) < 0.05


def test_listening_leans_in_and_speaking_sits_back() -> None:
    motion = FaceMotion(Random(9))
    attentive = listened(motion, 100)[-1]["lean"]
    talking = spoke(motion, 100)[-1]["lean"]
    assert attentive > 0.1 > abs(talking)


def test_an_emotion_is_reached_in_its_strength() -> None:
    motion = FaceMotion(Random(10))
    goal = EMOTION_POSES[Emotion.ELATED]["cheek"]
    half = [
        motion.step(emotion=Emotion.ELATED, strength=0.5, speaking=False, mouth=None, at_s=0.0)
        for _ in range(60)
    ][-1]
    assert half["cheek"] == pytest.approx(goal / 2, abs=0.02)
    whole = [
        motion.step(emotion=Emotion.ELATED, strength=7.0, speaking=False, mouth=None, at_s=0.0)
        for _ in range(60)
    ][-1]
    assert whole["cheek"] == pytest.approx(goal, abs=0.02)


def test_the_mouth_follows_the_sentence_and_lips_meet_on_its_closures() -> None:
    motion = FaceMotion(Random(11))
    track = MouthTrack(
        [Sound("ɑ", 0.0, 0.3), Sound("m", 0.3, 0.32), Sound("ɑ", 0.32, 0.6), Sound(" ", 0.6, 1.0)]
    )
    poses = []
    # The playout clock moves in packets of 20 ms: a frame in which nothing was sent, and one with two.
    for at_s in (0.0, 0.04, 0.08, 0.12, 0.16, 0.20, 0.24, 0.24, 0.32, 0.36, 0.40, 0.44):
        poses.append(
            motion.step(emotion=Emotion.NEUTRAL, strength=1.0, speaking=True, mouth=track, at_s=at_s)
        )
    assert poses[3]["jaw"] > 0.5
    assert [pose["press"] >= VISEMES["PP"]["press"] for pose in poses].count(True) == 1
    assert poses[-1]["jaw"] > 0.5


def test_a_sentence_that_is_cut_off_lets_the_mouth_fall_shut_in_a_fifth_of_a_second() -> None:
    motion = FaceMotion(Random(12))
    track = MouthTrack([Sound("ɑ", 0.0, 2.0)])
    open_jaw = [
        motion.step(emotion=Emotion.NEUTRAL, strength=1.0, speaking=True, mouth=track, at_s=k * FRAME_S)
        for k in range(20)
    ][-1]["jaw"]
    jaws = [pose["jaw"] for pose in listened(motion, 10)]
    assert open_jaw > 0.7
    # Not in one frame, which would look like a cut in the film.
    assert 0.2 < jaws[0] < open_jaw
    assert jaws[4] < 0.05


def test_nothing_jumps_when_speech_begins_or_ends_but_eyes_lids_and_lips() -> None:
    slow: dict[ParameterName, float] = {
        "yaw": 1.6, "pitch": 1.6, "roll": 0.8, "lean": 0.05, "shift_x": 0.8, "shift_y": 0.8,
        "breath": 0.13, "sway": 0.4, "smile_l": 0.2, "brow_inner_l": 0.2, "cheek": 0.1, "blush": 0.05,
    }  # fmt: skip
    for seed in range(12):
        motion = FaceMotion(Random(seed))
        poses = listened(motion, 37 + seed)
        for _ in range(4):
            poses += spoke(motion, 23 + seed) + listened(motion, 31 + seed)
        for name, most in slow.items():
            steps = [abs(b[name] - a[name]) for a, b in itertools.pairwise(poses)]
            assert max(steps) < most, name


def test_breath_is_drawn_before_speech_when_the_chest_is_empty() -> None:
    breath = Breath(0.3, drawing=False)
    levels = [breath.step(speaking=True) for _ in range(10)]
    assert levels == sorted(levels)
    assert levels[-1] > 0.7


def test_breaths_come_at_a_persons_rate() -> None:
    breath = Breath(0.0)
    levels = [breath.step(speaking=False) for _ in range(FRAMES_A_MINUTE)]
    tops = sum(a < b >= c for a, b, c in zip(levels, levels[1:], levels[2:], strict=False))
    assert 12 <= tops <= 20


def test_a_spring_arrives_without_overshoot() -> None:
    spring = Spring(8.0)
    path = [spring.step(1.0) for _ in range(60)]
    assert path == sorted(path)
    assert path[-1] == pytest.approx(1.0, abs=1e-4)
    # Nine tenths after 3.9 / omega seconds.
    assert path[round(3.9 / 8.0 / FRAME_S) - 1] == pytest.approx(0.9, abs=0.03)
