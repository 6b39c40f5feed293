"""Keeps what was heard and seen: one file per participant and track, cut into sealed segments.

A thread of its own encodes and writes. The frame path only puts into a bounded queue; when the disk cannot
follow, frames are left out and the gap is named in the record.
"""

from __future__ import annotations

import fcntl
import fractions
import hashlib
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
import numpy as np
import structlog
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from domain.events.catalogue import RecordingSegmentSealed, TrackKind
from domain.ids import ConversationId
from media.leftovers import PART, Leftovers
from media.priority import stand_back
from media.speaking.face import YuvFrame
from media.tracks import AUDIO_RATE, video_frame

log = structlog.get_logger()

# What people said and how they look is for the owner of the process alone, whatever the umask says.
FOLDER_MODE = 0o700
FILE_MODE = 0o600
SEGMENT_MS_MAX = 60_000
FRAMES_WAITING_MAX = 400
# How far a track may fall behind the timeline before silence is put in, and how far it may run ahead.
BEHIND_MS_MAX = 60
AHEAD_MS_MAX = 120
VIDEO_BIT_RATE = 400_000
AUDIO_BIT_RATE = 32_000
SUFFIX = {
    TrackKind.PARTICIPANT_AUDIO: "ogg",
    TrackKind.PERSONA_AUDIO: "ogg",
    TrackKind.PERSONA_VIDEO: "webm",
}


@dataclass(frozen=True, slots=True)
class _Sound:
    track: TrackKind
    media_ms: int
    pcm16: bytes


@dataclass(frozen=True, slots=True)
class _Picture:
    media_ms: int
    frame: YuvFrame


@dataclass(slots=True)
class _Segment:
    """An open file of one track, locked through `handle` for as long. `written` counts samples of sound;
    `last_ms` is the last picture's time."""

    number: int
    path: Path
    handle: int
    container: OutputContainer
    stream: AudioStream | VideoStream
    start_ms: int
    written: int = 0
    last_ms: int = -1

    def duration_ms(self) -> int:
        return self.written * 1000 // AUDIO_RATE if self.written else self.last_ms + 40


@dataclass(slots=True)
class _Track:
    kind: TrackKind
    numbers: int = 0
    segment: _Segment | None = None


class Recorder:
    """`sealed` is called from the recorder's thread with every finished segment; `stop` finishes the rest.

    `recorded` are the files that the conversation's events name. What lies beside them from earlier epochs is
    taken into the record first; what is still being written then, at the end.
    """

    def __init__(
        self,
        folder: Path,
        conversation_id: ConversationId,
        *,
        epoch: int,
        sealed: Callable[[RecordingSegmentSealed], None],
        recorded: frozenset[str] = frozenset(),
    ) -> None:
        self._folder = folder
        self._name = str(conversation_id)
        self._epoch = epoch
        self._sealed = sealed
        self._leftovers = Leftovers(folder, conversation_id, epoch, recorded)
        self._frames: queue.Queue[_Sound | _Picture | None] = queue.Queue(FRAMES_WAITING_MAX)
        self._tracks = {kind: _Track(kind) for kind in TrackKind}
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self.frames_lost = 0
        # Until the thread has come to its end in order, whatever it ended on is a failure.
        self.failed = True
        for place in (folder, folder / self._name):
            place.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self._thread.start()

    def sound(self, track: TrackKind, media_ms: int, pcm16: bytes) -> None:
        """Mono 48 kHz samples that begin at `media_ms`."""
        self._put(_Sound(track, media_ms, pcm16))

    def picture(self, media_ms: int, frame: YuvFrame) -> None:
        self._put(_Picture(media_ms, frame))

    def stop(self, timeout_s: float) -> bool:
        """Blocks until all that was put in is on disk; False if that took too long. Call it in a thread."""
        deadline_s = time.monotonic() + timeout_s
        try:
            self._frames.put(None, timeout=timeout_s)
        except queue.Full:
            return False
        self._thread.join(max(0.0, deadline_s - time.monotonic()))
        return not self._thread.is_alive()

    def _put(self, item: _Sound | _Picture) -> None:
        try:
            self._frames.put_nowait(item)
        except queue.Full:
            self.frames_lost += 1

    def _write(self) -> None:
        stand_back()
        self._take_leftovers()
        try:
            while (item := self._frames.get()) is not None:
                match item:
                    case _Sound():
                        self._write_sound(item)
                    case _Picture():
                        self._write_picture(item)
            for track in self._tracks.values():
                self._seal(track)
            self._take_leftovers()
            self.failed = False
        except (OSError, av.FFmpegError) as error:
            # A full disk ends the recording, not the call; the seal will say that the capture has a gap.
            log.error("recorder.failed", error=type(error).__name__)
            self._let_go()
            while self._frames.get() is not None:
                self.frames_lost += 1

    def _let_go(self) -> None:
        """Leaves what is open to whoever records next."""
        for track in self._tracks.values():
            segment, track.segment = track.segment, None
            if segment is not None:
                os.close(segment.handle)

    def _take_leftovers(self) -> None:
        try:
            self._leftovers.take(self._sealed)
        except OSError as error:
            # What an earlier worker left must not cost this one its own recording.
            log.warning("recording.leftovers_unread", error=type(error).__name__)

    def _write_sound(self, item: _Sound) -> None:
        track = self._tracks[item.track]
        segment = self._open(track, item.media_ms)
        at_ms = item.media_ms - segment.start_ms
        have_ms = segment.written * 1000 // AUDIO_RATE
        if have_ms - at_ms > AHEAD_MS_MAX:
            return
        samples = np.frombuffer(item.pcm16, np.int16)
        if at_ms - have_ms > BEHIND_MS_MAX:
            silence = np.zeros((at_ms - have_ms) * AUDIO_RATE // 1000, np.int16)
            samples = np.concatenate([silence, samples])
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = AUDIO_RATE
        frame.pts, frame.time_base = segment.written, fractions.Fraction(1, AUDIO_RATE)
        segment.written += len(samples)
        segment.container.mux(cast(AudioStream, segment.stream).encode(frame))
        if segment.written * 1000 // AUDIO_RATE >= SEGMENT_MS_MAX:
            self._seal(track)

    def _write_picture(self, item: _Picture) -> None:
        track = self._tracks[TrackKind.PERSONA_VIDEO]
        segment = self._open(track, item.media_ms)
        at_ms = item.media_ms - segment.start_ms
        if at_ms <= segment.last_ms:
            return
        segment.last_ms = at_ms
        frame = video_frame(item.frame)
        frame.pts, frame.time_base = at_ms, fractions.Fraction(1, 1000)
        segment.container.mux(cast(VideoStream, segment.stream).encode(frame))
        if at_ms >= SEGMENT_MS_MAX:
            self._seal(track)

    def _open(self, track: _Track, media_ms: int) -> _Segment:
        if track.segment is None:
            track.numbers += 1
            name = f"{self._epoch}-{track.kind.value}-{track.numbers}.{SUFFIX[track.kind]}"
            path = self._folder / self._name / f"{name}{PART}"
            handle = _private(path)
            try:
                container = av.open(str(path), "w", format="webm" if SUFFIX[track.kind] == "webm" else "ogg")
                stream = _video(container) if track.kind is TrackKind.PERSONA_VIDEO else _audio(container)
            except BaseException:
                os.close(handle)
                raise
            track.segment = _Segment(track.numbers, path, handle, container, stream, media_ms)
        return track.segment

    def _seal(self, track: _Track) -> None:
        segment, track.segment = track.segment, None
        if segment is None:
            return
        try:
            segment.container.mux(segment.stream.encode(None))
            segment.container.close()
            with segment.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())
                size = os.fstat(file.fileno()).st_size
            whole = segment.path.with_name(segment.path.name.removesuffix(PART))
            segment.path.rename(whole)
        finally:
            os.close(segment.handle)
        self._sealed(
            RecordingSegmentSealed(
                track=track.kind,
                segment=segment.number,
                file=f"{self._name}/{whole.name}",
                sha256=digest,
                size_bytes=size,
                start_media_ms=segment.start_ms,
                duration_ms=segment.duration_ms(),
                cut=False,
            )
        )


def _private(path: Path) -> int:
    """A new file that only its owner can open, locked until the handle is closed. The container's library
    opens files by name, with the mode that the umask leaves; it keeps that of a file that is there."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError as error:
        # A file system without locks: nobody else gets one either, so the file stays its writer's.
        log.warning("recorder.not_locked", error=type(error).__name__)
    return handle


def _audio(container: OutputContainer) -> AudioStream:
    stream = container.add_stream("libopus", rate=AUDIO_RATE, layout="mono")
    stream.bit_rate = AUDIO_BIT_RATE
    return stream


def _video(container: OutputContainer) -> VideoStream:
    stream = container.add_stream("libvpx", rate=25)
    stream.width = stream.height = 512
    stream.pix_fmt = "yuv420p"
    stream.bit_rate = VIDEO_BIT_RATE
    stream.codec_context.time_base = fractions.Fraction(1, 1000)
    stream.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "static-thresh": "1"}
    stream.thread_count = 1
    return stream
