"""What can go wrong, named for the rule that was broken. The edges make HTTP or Temporal errors of these."""

from __future__ import annotations

import traceback

from domain.ids import StreamId

# Places that an error is told with; the innermost say most.
PLACES_TOLD_MAX = 12


class VivavoceError(Exception):
    """The root of every error that this product raises on purpose. `code` is stable and safe to log."""

    code = "error"


def sentence(text: str) -> str:
    """An error's own words as a sentence. A field's or a file's name at its head is kept as it is."""
    first = text.partition(" ")[0]
    named = first.endswith(":") or any(mark in first[:-1] for mark in "._/")
    whole = text if named else text[:1].upper() + text[1:]
    return whole if whole.endswith((".", "!", "?")) else f"{whole}."


def first_of(error: BaseException) -> BaseException:
    """What a task group collects is told by its first member; the others were cancelled because of it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def told(error: BaseException) -> dict[str, object]:
    """What a log may hold of an error: its type, its code where it is one of ours, and the places in the code
    that it passed through, outermost first. Its text can quote what people said, and is not among it."""
    error = first_of(error)
    frames = traceback.extract_tb(error.__traceback__)[-PLACES_TOLD_MAX:]
    code = {"code": error.code} if isinstance(error, VivavoceError) else {}
    where = [f"{frame.filename}:{frame.lineno}" for frame in frames]
    return {"error": type(error).__name__, **code, "where": where}


class RuleBroken(VivavoceError):
    """A request that the rules do not allow just now. Trying again does not help."""

    code = "rule_broken"


class InvalidInput(VivavoceError):
    """Something given does not have the form it must have. The message says what to change."""

    code = "invalid_input"


class NotFound(VivavoceError):
    """There is no such thing, or it is another tenant's."""

    code = "not_found"


class Unavailable(VivavoceError):
    """A dependency did not answer in time. The same request may succeed later."""

    code = "unavailable"


class StoreError(VivavoceError):
    """The root of what the event store refuses."""

    code = "store"


class VersionConflict(StoreError, RuleBroken):
    """Another writer appended first: reload the stream and decide again."""

    code = "version_conflict"

    def __init__(self, stream: StreamId, *, expected: int, actual: int) -> None:
        super().__init__(f"stream {stream} is at version {actual}, not {expected}")
        self.stream, self.expected, self.actual = stream, expected, actual


class StaleEpoch(StoreError, RuleBroken):
    """A later owner has taken the session over; this writer must stop."""

    code = "stale_epoch"

    def __init__(self, stream: StreamId, *, epoch: int, current: int) -> None:
        super().__init__(f"stream {stream} is owned at epoch {current}; epoch {epoch} may not write to it")
        self.stream, self.epoch, self.current = stream, epoch, current


class StreamSealed(StoreError, RuleBroken):
    """The record is closed. What happens to it later belongs to its custody stream."""

    code = "stream_sealed"

    def __init__(self, stream: StreamId) -> None:
        super().__init__(f"stream {stream} is sealed and takes no more events")
        self.stream = stream


class BatchOverlap(StoreError, RuleBroken):
    """Some of the batch is stored already, but not as a prefix of it: these are not the same events again."""

    code = "batch_overlap"

    def __init__(self, stream: StreamId) -> None:
        super().__init__(f"part of the batch for stream {stream} is stored, and not as its beginning")
        self.stream = stream


class StoreUnavailable(StoreError, Unavailable):
    """Postgres did not answer within the bound. Whether the append was stored is unknown: send it again."""

    code = "store_unavailable"


class UnknownEventType(StoreError):
    """A stored event has a type or schema version that this release does not know."""

    code = "unknown_event_type"

    def __init__(self, event_type: str, schema_version: int) -> None:
        super().__init__(f"this release knows no event {event_type!r} of schema version {schema_version}")
        self.event_type, self.schema_version = event_type, schema_version
