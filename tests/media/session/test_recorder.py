"""The recording: files that an ordinary player plays, on the session's timeline, each with its digest."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import av
import numpy as np
import pytest

from domain.events.catalogue import RecordingSegmentSealed, TrackKind
from domain.ids import ConversationId
from media import recorder as recorder_module
from media.recorder import AHEAD_MS_MAX, BEHIND_MS_MAX, FILE_MODE, FOLDER_MODE, Recorder
from media.speaking.face import YuvFrame

CONVERSATION = ConversationId(UUID("3f0c1d1a-6f0e-4b7c-9a46-0d2f4f1f1a11"))
FRAME = 960


def tone(frames: int, *, start: int = 0) -> list[bytes]:
    """Frames of a 440 Hz tone, 20 ms each."""
    at = (np.arange(frames * FRAME) + start * FRAME) / 48_000
    samples = (np.sin(2 * np.pi * 440 * at) * 8_000).astype("<i2")
    return [samples[k * FRAME : (k + 1) * FRAME].tobytes() for k in range(frames)]


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=48_000)
        parts = [
            out.to_ndarray()[0] for frame in container.decode(audio=0) for out in resampler.resample(frame)
        ]
    return np.concatenate(parts)


def picture(value: int) -> YuvFrame:
    return YuvFrame(
        np.full((512, 512), value, np.uint8),
        np.full((256, 256), 128, np.uint8),
        np.full((256, 256), 128, np.uint8),
    )


def test_each_track_is_a_playable_file_whose_digest_is_in_its_event(tmp_path: Path) -> None:
    # Given a recorder, when two seconds of both voices and of pictures are put in and it stops
    sealed: list[RecordingSegmentSealed] = []
    recorder = Recorder(tmp_path, CONVERSATION, epoch=1, sealed=sealed.append)
    for k, frame in enumerate(tone(100)):
        recorder.sound(TrackKind.PARTICIPANT_AUDIO, k * 20, frame)
        recorder.sound(TrackKind.PERSONA_AUDIO, k * 20, frame)
        if k % 2 == 0:
            recorder.picture(k * 20, picture(60 + k))
    assert recorder.stop(10)

    # Then there is one segment of each track, two seconds long, with the digest of the file
    assert {segment.track for segment in sealed} == set(TrackKind)
    for segment in sealed:
        path = tmp_path / segment.file
        assert hashlib.sha256(path.read_bytes()).hexdigest() == segment.sha256
        assert path.stat().st_size == segment.size_bytes
        assert segment.duration_ms == pytest.approx(2_000, abs=40)
        if segment.track is TrackKind.PERSONA_VIDEO:
            with av.open(str(path)) as container:
                frames = [frame.width for frame in container.decode(video=0)]
            assert len(frames) == 50
            assert set(frames) == {512}
        else:
            samples = decoded(path)
            assert len(samples) == pytest.approx(2 * 48_000, abs=2_000)
            assert np.abs(samples[20_000:80_000]).max() > 5_000
    assert recorder.frames_lost == 0


def test_a_hole_in_the_sound_is_filled_with_silence_so_that_the_rest_stays_in_place(tmp_path: Path) -> None:
    # Given half a second of sound, when the next sound comes only after a second and a half
    sealed: list[RecordingSegmentSealed] = []
    recorder = Recorder(tmp_path, CONVERSATION, epoch=1, sealed=sealed.append)
    for k, frame in enumerate(tone(25)):
        recorder.sound(TrackKind.PARTICIPANT_AUDIO, k * 20, frame)
    for k, frame in enumerate(tone(25)):
        recorder.sound(TrackKind.PARTICIPANT_AUDIO, 2_000 + k * 20, frame)
    assert recorder.stop(10)

    # Then it stands two seconds into the file
    samples = decoded(tmp_path / sealed[0].file)
    loud = np.abs(samples.astype(np.int32)) > 3_000
    assert not loud[int(0.6 * 48_000) : int(1.9 * 48_000)].any()
    assert loud[int(2.1 * 48_000) : int(2.4 * 48_000)].any()


def test_a_long_track_is_cut_into_segments_that_follow_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given segments of one second, when three and a half seconds are recorded
    monkeypatch.setattr(recorder_module, "SEGMENT_MS_MAX", 1_000)
    sealed: list[RecordingSegmentSealed] = []
    recorder = Recorder(tmp_path, CONVERSATION, epoch=2, sealed=sealed.append)
    for k, frame in enumerate(tone(175)):
        recorder.sound(TrackKind.PERSONA_AUDIO, 5_000 + k * 20, frame)
    assert recorder.stop(10)

    # Then four segments stand on the timeline one behind the other, in files named by epoch
    assert [segment.segment for segment in sealed] == [1, 2, 3, 4]
    assert [segment.start_media_ms for segment in sealed] == [5_000, 6_000, 7_000, 8_000]
    assert all("/2-persona_audio-" in segment.file for segment in sealed)


def test_a_full_queue_loses_frames_and_counts_them_and_never_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given room for a handful of frames, when far more are put in at once
    monkeypatch.setattr(recorder_module, "FRAMES_WAITING_MAX", 4)
    recorder = Recorder(tmp_path, CONVERSATION, epoch=1, sealed=lambda _: None)
    for k, frame in enumerate(tone(2_000)):
        recorder.sound(TrackKind.PERSONA_AUDIO, k * 20, frame)

    # Then what did not fit is counted, and the recorder still ends in order
    assert recorder.frames_lost > 0
    assert recorder.stop(10)
    assert not recorder.failed


def recorded_ms(folder: Path, *at_ms: int) -> int:
    """How long the track is when 20 ms of sound come at each of these times."""
    sealed: list[RecordingSegmentSealed] = []
    recorder = Recorder(folder, CONVERSATION, epoch=1, sealed=sealed.append)
    for each in at_ms:
        recorder.sound(TrackKind.PARTICIPANT_AUDIO, each, tone(1)[0])
    assert recorder.stop(10)
    assert sealed[0].duration_ms is not None
    return sealed[0].duration_ms


def test_a_track_may_fall_so_far_behind_before_silence_is_put_in(tmp_path: Path) -> None:
    assert recorded_ms(tmp_path / "a", 0, 20 + BEHIND_MS_MAX) == 40
    assert recorded_ms(tmp_path / "b", 0, 20 + BEHIND_MS_MAX + 1) == 40 + BEHIND_MS_MAX + 1


def test_a_track_may_run_so_far_ahead_before_sound_is_left_out(tmp_path: Path) -> None:
    fits = 1 + AHEAD_MS_MAX // 20

    assert recorded_ms(tmp_path / "a", *[0] * fits) == fits * 20
    assert recorded_ms(tmp_path / "b", *[0] * (fits + 5)) == fits * 20


def test_stopping_waits_for_the_disk_and_not_for_ever(tmp_path: Path) -> None:
    # Given a recorder that cannot finish its last segment
    written = threading.Event()
    recorder = Recorder(tmp_path, CONVERSATION, epoch=1, sealed=lambda _: _until(written))
    recorder.sound(TrackKind.PERSONA_AUDIO, 0, tone(1)[0])

    # When it is stopped, then it says that this took too long; and once the disk is free, that it has ended
    assert not recorder.stop(0.05)
    written.set()
    assert recorder.stop(10)


def _until(written: threading.Event) -> None:
    written.wait(10)


def test_a_folder_that_cannot_be_written_ends_the_recording_and_not_the_call(tmp_path: Path) -> None:
    # Given a recorder whose folder is replaced by a file
    recorder = Recorder(tmp_path, CONVERSATION, epoch=1, sealed=lambda _: None)
    (tmp_path / str(CONVERSATION)).rmdir()
    (tmp_path / str(CONVERSATION)).write_text("in the way")

    # When sound comes, then it is refused inside, and `failed` says so
    recorder.sound(TrackKind.PERSONA_AUDIO, 0, tone(1)[0])
    assert recorder.stop(10)
    assert recorder.failed


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o022, 0o000])
def test_a_recording_is_its_owners_alone_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    # Given a process with a umask that lets everybody read, and recordings of both voices and of pictures
    recordings = tmp_path / "recordings"
    with umask(mask):
        recorder = Recorder(recordings, CONVERSATION, epoch=1, sealed=lambda _: None)
        recorder.sound(TrackKind.PARTICIPANT_AUDIO, 0, tone(1)[0])
        recorder.sound(TrackKind.PERSONA_AUDIO, 0, tone(1)[0])
        recorder.picture(0, picture(60))
        assert recorder.stop(10)

    # Then no folder and no file can be opened by anybody else
    folders = [recordings, recordings / str(CONVERSATION)]
    files = list((recordings / str(CONVERSATION)).iterdir())
    assert (FOLDER_MODE, FILE_MODE, len(files)) == (0o700, 0o600, len(TrackKind))
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {FOLDER_MODE}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {FILE_MODE}
