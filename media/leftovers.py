"""What a worker that was killed leaves behind: segments that no event names, so that nobody finds them.

A file has the suffix PART until it is sealed, and its writer holds a lock on it, which the kernel lets go
when the writer dies. So a part that can be locked has no writer any more.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from domain.events.catalogue import RecordingSegmentSealed, TrackKind
from domain.ids import ConversationId

log = structlog.get_logger()

PART = ".part"
# A worker leaves one open file a track, and a conversation has few sessions.
LEFTOVERS_MAX = 64
# All of it is read to take its digest, at a few hundred megabytes a second.
LEFTOVERS_S_MAX = 1.0
# At the start of a worker: names in the log, and entries of the folder that are looked at for them.
TOLD_MAX = 20
ENTRIES_MAX = 10_000

_NAME = re.compile(rf"(\d+)-({'|'.join(TrackKind)})-(\d+)\.(?:ogg|webm)")


@dataclass(slots=True)
class Leftovers:
    """Segments of earlier epochs of one conversation that no event names. `known` are the files that events
    name. It was read after the epoch was raised, so that no earlier session can name another one."""

    folder: Path
    conversation_id: ConversationId
    epoch: int
    known: frozenset[str] = frozenset()
    _taken: set[str] = field(default_factory=set)

    def take(
        self,
        found: Callable[[RecordingSegmentSealed], None],
        *,
        limit: int = LEFTOVERS_MAX,
        within_s: float = LEFTOVERS_S_MAX,
    ) -> None:
        """Seals each and tells of it. Blocks for `within_s` and one file at most; what is beyond the bounds,
        or is still being written, is left for the next call. Raises OSError."""
        deadline_s = time.monotonic() + within_s
        for count, path in enumerate(self._unnamed()):
            if count >= limit or time.monotonic() >= deadline_s:
                log.warning("recording.leftovers_put_off", conversation_id=str(self.conversation_id))
                return
            segment = self._seal(path)
            if segment is not None:
                self._taken.add(segment.file)
                found(segment)

    def _unnamed(self) -> Iterator[Path]:
        for path in sorted((self.folder / str(self.conversation_id)).iterdir()):
            named = _NAME.fullmatch(path.name.removesuffix(PART))
            file = f"{self.conversation_id}/{path.name.removesuffix(PART)}"
            if named and int(named[1]) < self.epoch and file not in self.known and file not in self._taken:
                yield path

    def _seal(self, path: Path) -> RecordingSegmentSealed | None:
        """None for a file that is still being written: its worker lives, and does not know yet that it was
        replaced."""
        named = _NAME.fullmatch(path.name.removesuffix(PART))
        if named is None:
            raise ValueError(f"{path.name} is no segment of a recording")
        with alone(path) as handle:
            if handle is None:
                return None
            with os.fdopen(os.dup(handle), "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(handle)
            size = os.fstat(handle).st_size
            whole = path.with_name(path.name.removesuffix(PART))
            path.rename(whole)
        return RecordingSegmentSealed(
            track=TrackKind(named[2]),
            segment=int(named[3]),
            file=f"{self.conversation_id}/{whole.name}",
            sha256=digest,
            size_bytes=size,
            start_media_ms=None,
            duration_ms=None,
            cut=True,
        )


@contextmanager
def alone(path: Path) -> Iterator[int | None]:
    """The open file while nobody writes it; None when somebody does, when it is gone, and where the file
    system cannot tell."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
        else:
            yield handle
    finally:
        os.close(handle)


def tell_leftovers(folder: Path, *, names_max: int = TOLD_MAX, entries_max: int = ENTRIES_MAX) -> None:
    """Names in the log what lies open in the recordings with nobody to write it. The next session of the same
    conversation takes it up; where there is none, it is the operator's."""
    try:
        told = 0
        for path in itertools.islice(_entries(folder), entries_max):
            if path.suffix != PART or _is_held(path):
                continue
            if told == names_max:
                log.warning("recording.more_left_over", named=told)
                return
            told += 1
            log.warning("recording.left_over", file=f"{path.parent.name}/{path.name}")
    except OSError as error:
        log.warning("recording.leftovers_unread", error=type(error).__name__)


def _entries(folder: Path) -> Iterator[Path]:
    """Lazily, since a folder of recordings only grows."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as places:
        for place in places:
            if not place.is_dir(follow_symlinks=False):
                continue
            yield Path(place.path)
            with os.scandir(place.path) as files:
                for file in files:
                    yield Path(file.path)


def _is_held(path: Path) -> bool:
    with alone(path) as handle:
        return handle is None
