"""Segments of a worker that was killed: the next session of the conversation takes them into the record."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from domain.events.catalogue import RecordingSegmentSealed, TrackKind
from domain.ids import ConversationId
from media import leftovers as leftovers_module
from media.leftovers import (
    ENTRIES_MAX,
    LEFTOVERS_MAX,
    LEFTOVERS_S_MAX,
    PART,
    TOLD_MAX,
    Leftovers,
    tell_leftovers,
)
from media.recorder import Recorder
from media.session import RECORDING_STOP_S_MAX

CONVERSATION = ConversationId(UUID("3f0c1d1a-6f0e-4b7c-9a46-0d2f4f1f1a12"))
SOUND = bytes(1_920)
# A worker that records three frames of a voice, says so, and is killed before the segment is sealed.
WORKER = f"""
import sys, time
from pathlib import Path
from uuid import UUID
from domain.events.catalogue import TrackKind
from domain.ids import ConversationId
from media.recorder import Recorder
folder = Path(sys.argv[1])
recorder = Recorder(folder, ConversationId(UUID("{CONVERSATION}")), epoch=1, sealed=print)
for k in range(500):
    recorder.sound(TrackKind.PARTICIPANT_AUDIO, k * 20, bytes(1_920))
    time.sleep(0.001)
print("recording", flush=True)
sys.stdin.read()
"""


def place(folder: Path) -> Path:
    return folder / str(CONVERSATION)


def write(folder: Path, name: str, content: bytes = b"sound") -> Path:
    place(folder).mkdir(parents=True, exist_ok=True)
    path = place(folder) / name
    path.write_bytes(content)
    return path


def recorded_by(
    folder: Path, *, epoch: int, recorded: frozenset[str] = frozenset()
) -> list[RecordingSegmentSealed]:
    sealed: list[RecordingSegmentSealed] = []
    recorder = Recorder(folder, CONVERSATION, epoch=epoch, sealed=sealed.append, recorded=recorded)
    recorder.sound(TrackKind.PERSONA_AUDIO, 0, SOUND)
    assert recorder.stop(10)
    assert not recorder.failed
    return sealed


def taken(folder: Path, *, limit: int = LEFTOVERS_MAX, within_s: float = 10.0) -> list[str]:
    found: list[RecordingSegmentSealed] = []
    Leftovers(folder, CONVERSATION, 9).take(found.append, limit=limit, within_s=within_s)
    return [each.file for each in found]


def test_what_a_killed_worker_was_writing_is_recorded_by_the_next_session(tmp_path: Path) -> None:
    # Given a worker that is killed while it records
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"recording\n"
        # (while it lives, its file is its own)
        alive = recorded_by(tmp_path, epoch=2)
        assert [(each.track, each.cut) for each in alive] == [(TrackKind.PERSONA_AUDIO, False)]
        worker.send_signal(signal.SIGKILL)

    # When the next session of the conversation records
    first, second = recorded_by(tmp_path, epoch=3, recorded=frozenset(each.file for each in alive))

    # Then the file is in the record, with its digest and as one that was cut
    assert (first.track, first.segment, first.cut) == (TrackKind.PARTICIPANT_AUDIO, 1, True)
    assert (first.start_media_ms, first.duration_ms) == (None, None)
    content = (tmp_path / first.file).read_bytes()
    assert (first.sha256, first.size_bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert (second.track, second.cut) == (TrackKind.PERSONA_AUDIO, False)
    # And no file lies there that no event names
    named = {each.file for each in (*alive, first, second)}
    assert {f"{CONVERSATION}/{path.name}" for path in place(tmp_path).iterdir()} == named


def test_a_sealed_segment_whose_event_was_lost_is_recorded_and_one_that_is_named_is_not(
    tmp_path: Path,
) -> None:
    # Given two whole files of an earlier session, one of which an event names, and files that are no segments
    write(tmp_path, "1-persona_audio-1.ogg")
    write(tmp_path, "1-persona_video-1.webm")
    write(tmp_path, "notes.txt")
    write(tmp_path, "4-persona_audio-1.ogg")

    sealed = recorded_by(tmp_path, epoch=3, recorded=frozenset({f"{CONVERSATION}/1-persona_audio-1.ogg"}))

    assert [Path(each.file).name for each in sealed] == ["1-persona_video-1.webm", "3-persona_audio-1.ogg"]


def test_a_file_that_is_let_go_meanwhile_is_recorded_at_the_end(tmp_path: Path) -> None:
    # Given a session of an earlier epoch that does not know yet that it was replaced
    refused: list[RecordingSegmentSealed] = []
    earlier = Recorder(tmp_path, CONVERSATION, epoch=1, sealed=refused.append)
    earlier.sound(TrackKind.PARTICIPANT_AUDIO, 0, SOUND)
    found: list[RecordingSegmentSealed] = []
    later = Leftovers(tmp_path, CONVERSATION, 2)
    later.take(found.append)
    assert found == []

    # When it has ended, and its own event was refused
    assert earlier.stop(10)
    later.take(found.append)
    later.take(found.append)

    # Then the later session records the file, once
    assert [(each.file, each.sha256) for each in found] == [(refused[0].file, refused[0].sha256)]


def test_so_many_leftovers_are_taken_at_once_and_the_rest_is_put_off(tmp_path: Path) -> None:
    for folder in ("all", "one too many", "too slow"):
        for number in range(LEFTOVERS_MAX):
            write(tmp_path / folder, f"1-persona_audio-{number}.ogg{PART}")
    write(tmp_path / "one too many", f"2-persona_audio-1.ogg{PART}")

    with capture_logs() as logs:
        assert len(taken(tmp_path / "all")) == LEFTOVERS_MAX
    assert logs == []
    with capture_logs() as logs:
        assert len(taken(tmp_path / "one too many")) == LEFTOVERS_MAX
        assert taken(tmp_path / "too slow", within_s=0) == []
    assert [each["event"] for each in logs] == ["recording.leftovers_put_off"] * 2
    # A recorder has longer than this to stop
    assert LEFTOVERS_S_MAX < RECORDING_STOP_S_MAX


def test_leftovers_that_cannot_be_read_do_not_end_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, f"1-persona_audio-1.ogg{PART}")

    def broken(_: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(leftovers_module, "alone", broken)

    with capture_logs() as logs:
        assert [each.cut for each in recorded_by(tmp_path, epoch=2)] == [False]
    assert {each["event"] for each in logs} == {"recording.leftovers_unread"}


def names_told(folder: Path, *, names_max: int = TOLD_MAX, entries_max: int = ENTRIES_MAX) -> list[str]:
    with capture_logs() as logs:
        tell_leftovers(folder, names_max=names_max, entries_max=entries_max)
    return [each.get("file", each["event"]) for each in logs]


def test_what_nobody_writes_any_more_is_named_to_the_operator_at_a_start(tmp_path: Path) -> None:
    # Given a file that was left open, one that is whole, and one that is being written
    write(tmp_path, "1-persona_audio-1.ogg")
    write(tmp_path, f"1-persona_audio-2.ogg{PART}")
    recorder = Recorder(tmp_path, CONVERSATION, epoch=1, sealed=lambda _: None)
    recorder.sound(TrackKind.PARTICIPANT_AUDIO, 0, SOUND)

    told = names_told(tmp_path)
    assert recorder.stop(10)

    assert told == [f"{CONVERSATION}/1-persona_audio-2.ogg{PART}"]
    assert names_told(tmp_path / "no such folder") == []


def test_the_log_names_so_many_and_says_that_there_are_more(tmp_path: Path) -> None:
    for number in range(TOLD_MAX):
        write(tmp_path, f"1-persona_audio-{number}.ogg{PART}")
    assert len(names_told(tmp_path)) == TOLD_MAX

    write(tmp_path, f"2-persona_audio-1.ogg{PART}")
    assert names_told(tmp_path)[TOLD_MAX:] == ["recording.more_left_over"]

    # And only so many entries are looked at, the folder of the conversation being the first
    assert ENTRIES_MAX == 10_000
    assert len(names_told(tmp_path, entries_max=1 + 5)) == 5
