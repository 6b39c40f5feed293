"""Frames: the same from every path, complete, and not drawn again where nothing moved."""

from dataclasses import replace
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
import torch

from media.speaking.face import Emotion, FaceMotion, FaceRenderer, FrameMemory, Pose, YuvFrame
from media.speaking.face.expressions import EMOTION_POSES
from media.speaking.face.geometry import PARTS, RECTS, SIZE
from media.speaking.face.layers import Layers
from media.speaking.face.renderer import SESSIONS_MAX
from media.speaking.face.rig import INDEX, ParameterName, posed

NEUTRAL = EMOTION_POSES[Emotion.NEUTRAL]


def one(renderer: FaceRenderer, pose: Pose) -> YuvFrame:
    return renderer.render([pose], FrameMemory())[0]


def apart(a: YuvFrame, b: YuvFrame) -> npt.NDArray[np.int16]:
    """How far the luma of two frames is apart, pixel by pixel."""
    return np.abs(a.y.astype(np.int16) - b.y.astype(np.int16))


def worst(a: YuvFrame, b: YuvFrame) -> int:
    chroma = [np.abs(p.astype(np.int16) - q.astype(np.int16)).max() for p, q in ((a.u, b.u), (a.v, b.v))]
    return int(max(apart(a, b).max(), *chroma))


def changed(pose: Pose, name: ParameterName, value: float) -> Pose:
    values = list(pose.values)
    values[INDEX[name]] = value
    return replace(pose, values=tuple(values))


def test_a_frame_has_the_planes_an_encoder_takes(renderer: FaceRenderer) -> None:
    frame = one(renderer, NEUTRAL)
    assert frame.y.shape == (SIZE, SIZE)
    assert frame.u.shape == frame.v.shape == (SIZE // 2, SIZE // 2)
    for plane in (frame.y, frame.u, frame.v):
        assert plane.dtype == np.uint8
        assert plane.flags.c_contiguous
    assert frame.y.min() >= 16
    assert frame.y.max() <= 236
    # Skin on the forehead: light, more red than blue.
    assert frame.y[150, 250] > 150
    assert frame.v[75, 125] > 140 > frame.u[75, 125]


def test_every_emotion_is_a_different_picture(renderer: FaceRenderer) -> None:
    frames = {emotion: one(renderer, pose) for emotion, pose in EMOTION_POSES.items()}
    assert len(frames) == len(Emotion)
    for first in Emotion:
        for second in Emotion:
            if first < second:
                face = apart(frames[first], frames[second])[130:360, 160:360]
                assert (face > 20).sum() > 300, f"{first} and {second} look alike"


def test_a_batch_draws_the_frames_that_single_sessions_would(
    renderer: FaceRenderer, typical_poses: list[Pose], wild_poses: list[Pose]
) -> None:
    poses = typical_poses[:6] + wild_poses[:6]
    batched = renderer.render(poses, FrameMemory())
    for pose, frame in zip(poses, batched, strict=True):
        assert worst(frame, one(renderer, pose)) <= 1


def test_fixed_shapes_draw_the_frames_that_tight_ones_do(
    renderer: FaceRenderer, typical_poses: list[Pose], wild_poses: list[Pose]
) -> None:
    fixed = FaceRenderer(device="cpu", fixed_shapes=True)
    for pose in typical_poses[::2] + wild_poses:
        differing = apart(one(fixed, pose), one(renderer, pose))
        assert (differing > 2).sum() <= 12
        assert differing.mean() < 0.02


def test_visible_parts_show_what_whole_layers_would(
    renderer: FaceRenderer, typical_poses: list[Pose], wild_poses: list[Pose]
) -> None:
    whole = FaceRenderer(device="cpu")
    whole.layers = Layers(
        whole.textures,
        whole.grid,
        whole.device,
        fixed=False,
        parts={name: (rect,) for name, rect in RECTS.items()},
    )
    for pose in typical_poses + wild_poses:
        differing = apart(one(whole, pose), one(renderer, pose))
        assert (differing > 3).sum() <= 4, pose


def test_boxes_of_a_layer_never_overlap(renderer: FaceRenderer, wild_poses: list[Pose]) -> None:
    # A half-transparent pixel that is laid twice shows as a seam.
    for pose in wild_poses:
        memory = FrameMemory()
        renderer.render([pose], memory)
        for name in PARTS:
            covered = np.zeros((SIZE, SIZE), np.uint8)
            for (x0, y0, x1, y1), _ in memory.layers[name].boxes:
                covered[y0:y1, x0:x1] += 1
            assert covered.max() == 1, (name, pose)


def test_where_nothing_moved_the_last_frame_comes_back(renderer: FaceRenderer) -> None:
    memory = FrameMemory()
    first = renderer.render([NEUTRAL], memory)[0]
    again = renderer.render([NEUTRAL], memory)[0]
    assert again is first


@pytest.mark.parametrize("name", ["gaze_x", "jaw", "blink_l", "press", "furrow", "blush", "pale", "tongue"])
def test_a_change_inside_the_face_is_drawn(renderer: FaceRenderer, name: ParameterName) -> None:
    memory = FrameMemory()
    start = changed(NEUTRAL, "jaw", 0.8)
    first = renderer.render([start], memory)[0]
    second = renderer.render([changed(start, name, start[name] + 0.2)], memory)[0]
    assert apart(first, second).max() >= 4


def test_frames_from_memory_are_the_frames_of_a_fresh_start_to_a_fifth_of_a_pixel(
    renderer: FaceRenderer,
) -> None:
    motion, memory = FaceMotion(Random(1)), FrameMemory()
    errors = []
    for _ in range(60):
        pose = motion.step(emotion=Emotion.CONTENT, strength=0.7, speaking=False, mouth=None, at_s=0.0)
        remembered = renderer.render([pose], memory)[0]
        errors.append(float((apart(remembered, one(renderer, pose)).astype(float) ** 2).mean()))
    # 40 dB: below what a video encoder does to the same frame at a call's bit rate.
    assert max(errors) < 255**2 / 10**4.0


def test_a_memory_follows_a_set_of_sessions_that_changes_its_size(renderer: FaceRenderer) -> None:
    memory = FrameMemory()
    smile = EMOTION_POSES[Emotion.ELATED]
    renderer.render([NEUTRAL], memory)
    assert len(renderer.render([NEUTRAL, NEUTRAL], memory)) == 2
    two = renderer.render([NEUTRAL, smile], memory)
    assert worst(two[1], one(renderer, smile)) <= 1
    back = renderer.render([smile], memory)
    assert worst(back[0], one(renderer, smile)) <= 1
    assert renderer.render([], memory) == []


def test_a_memory_follows_a_set_whose_members_change_places(renderer: FaceRenderer) -> None:
    memory = FrameMemory()
    smile = EMOTION_POSES[Emotion.ELATED]
    renderer.render([NEUTRAL, smile], memory)
    swapped = renderer.render([smile, NEUTRAL], memory)
    assert worst(swapped[0], one(renderer, smile)) <= 1
    assert worst(swapped[1], one(renderer, NEUTRAL)) <= 1


def test_more_sessions_than_the_limit_are_refused(renderer: FaceRenderer) -> None:
    with pytest.raises(ValueError, match=f"at most {SESSIONS_MAX} faces"):
        renderer.render([NEUTRAL] * (SESSIONS_MAX + 1), FrameMemory())


def test_lids_close_over_the_iris(renderer: FaceRenderer) -> None:
    # The persona's right eye is at the left of the picture.
    eye = (slice(220, 232), slice(204, 224))
    opened, shut = one(renderer, NEUTRAL).y[eye], one(renderer, posed(blink=1.0)).y[eye]
    assert opened.min() < 60
    assert np.median(shut) > np.median(opened) + 40


def test_pressed_lips_hide_the_teeth_and_an_open_mouth_shows_the_dark(renderer: FaceRenderer) -> None:
    # A column through the middle of the mouth.
    column = (slice(300, 340), 256)
    laugh = posed(smile=0.9, jaw=0.4, upper=0.4)
    teeth = one(renderer, laugh).y[column]
    pressed = one(renderer, posed(smile=0.9, jaw=0.4, upper=0.4, press=1.0)).y[column]
    dark = one(renderer, posed(jaw=0.95)).y[column]
    assert teeth.max() > 205
    assert pressed.max() < 195
    assert dark.min() < 50 < pressed.min()


def test_poses_beyond_the_frame_are_drawn_and_do_not_fail(renderer: FaceRenderer) -> None:
    far = posed(yaw=60, pitch=-50, roll=80, shift_x=600, shift_y=-600, lean=4)
    frame = one(renderer, far)
    assert frame.y.shape == (SIZE, SIZE)


def test_a_device_that_is_not_there_is_refused_with_advice() -> None:
    with pytest.raises(ValueError, match="'auto', 'cpu' and 'cuda'"):
        FaceRenderer(device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="use 'auto' or 'cpu'"):
            FaceRenderer(device="cuda")


def test_a_texture_scale_that_is_not_shipped_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1\.0 and 1\.5, not 2"):
        FaceRenderer(device="cpu", texture_scale=2.0)


def test_finer_textures_show_the_same_face(renderer: FaceRenderer) -> None:
    fine = FaceRenderer(device="cpu", texture_scale=1.5)
    assert apart(one(fine, NEUTRAL), one(renderer, NEUTRAL)).mean() < 1.5
