"""C2SP tlog-witness: what a log asks of a witness, and what the witness decides.

The witness's process does the rest: in one transaction with the decision it records the new size and root of
the origin, and only then does it cosign and answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import ClassVar, TypeAlias

from domain.audit.checkpoint import (
    NO_WITNESSES,
    Checkpoint,
    Origin,
    SignedCheckpoint,
    TrustedLog,
    parse_signed_checkpoint,
    verify_checkpoint,
)
from domain.audit.errors import Malformed, NotProven, NotSigned
from domain.audit.lexical import decode_utf8, encode_base64, parse_hash, parse_size
from domain.audit.merkle import EMPTY_ROOT, PROOF_HASHES_MAX, verify_consistency
from domain.audit.note import NOTE_BYTES_MAX, Signature

# The note, and room for the first line and 63 hashes.
REQUEST_BYTES_MAX = NOTE_BYTES_MAX + 2**12
# A size and its newline.
CONFLICT_BYTES_MAX = 20

CONFLICT_CONTENT_TYPE = "text/x.tlog.size"
TEXT_CONTENT_TYPE = "text/plain; charset=utf-8"


class WitnessStatus(IntEnum):
    """The HTTP statuses of the protocol."""

    ACCEPTED = 200
    BAD_REQUEST = 400
    NOT_SIGNED = 403
    UNKNOWN_LOG = 404
    CONFLICT = 409
    NOT_PROVEN = 422


@dataclass(frozen=True, slots=True)
class WitnessRequest:
    """A log asks for a cosignature: the size that it believes the witness saw last, the consistency proof
    from there, and the new checkpoint."""

    old_size: int
    hashes: tuple[bytes, ...]
    signed: SignedCheckpoint

    def __post_init__(self) -> None:
        parse_size(str(self.old_size), "the old size")
        if len(self.hashes) > PROOF_HASHES_MAX:
            raise Malformed(f"a consistency proof has at most {PROOF_HASHES_MAX} hashes")

    def encode(self) -> bytes:
        """The body of POST add-checkpoint."""
        lines = [f"old {self.old_size}", *map(encode_base64, self.hashes), "", ""]
        return "\n".join(lines).encode("ascii") + self.signed.encode()


def parse_request(data: bytes) -> WitnessRequest:
    """The request in a body. Malformed is to be answered with `refused_as_malformed`."""
    if len(data) > REQUEST_BYTES_MAX:
        raise Malformed(f"a request has at most {REQUEST_BYTES_MAX} bytes")
    head, blank, note = data.partition(b"\n\n")
    if not blank:
        raise Malformed("a request is its lines, an empty line and a checkpoint")
    first, *lines = decode_utf8(head, "a request").split("\n", PROOF_HASHES_MAX + 2)
    if not first.startswith("old "):
        raise Malformed("the first line of a request is 'old N'")
    old_size = parse_size(first.removeprefix("old "), "the old size")
    if len(lines) > PROOF_HASHES_MAX:
        raise Malformed(f"a consistency proof has at most {PROOF_HASHES_MAX} hashes")
    hashes = tuple(parse_hash(line, f"hash {at} of the proof") for at, line in enumerate(lines, 1))
    return WitnessRequest(old_size, hashes, parse_signed_checkpoint(note))


@dataclass(frozen=True, slots=True)
class Seen:
    """The last state of a log that the witness cosigned; the empty one where it never did."""

    size: int = 0
    root: bytes = EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class Accepted:
    """The checkpoint extends what was seen: record `seen`, then cosign the text of `signed` and answer."""

    status: ClassVar[WitnessStatus] = WitnessStatus.ACCEPTED

    signed: SignedCheckpoint

    @property
    def seen(self) -> Seen:
        return Seen(self.signed.checkpoint.size, self.signed.checkpoint.root)


@dataclass(frozen=True, slots=True)
class Refused:
    """What to answer instead of a cosignature."""

    status: WitnessStatus
    body: str
    content_type: str = TEXT_CONTENT_TYPE


Decision: TypeAlias = Accepted | Refused


def decide(request: WitnessRequest, log: TrustedLog | None, seen: Seen) -> Decision:
    """Whether to cosign. `log` is the witness's own entry for the request's origin, None where it has none;
    `seen` is what it recorded for it, read in the transaction that will record the answer."""
    checkpoint = request.signed.checkpoint
    if log is None or log.origin != checkpoint.origin:
        return _refused(WitnessStatus.UNKNOWN_LOG, "This witness does not know a log of that origin.")
    try:
        # Other witnesses' signatures are no condition: each judges the log alone.
        verify_checkpoint(request.signed, TrustedLog(log.origin, log.keys, NO_WITNESSES))
        return _judge_growth(request, checkpoint, seen)
    except NotSigned as error:
        return _refused(WitnessStatus.NOT_SIGNED, f"{error}.")
    except NotProven as error:
        return _refused(WitnessStatus.NOT_PROVEN, f"{error}.")


def refused_as_malformed(error: Malformed) -> Refused:
    """The answer to a body that `parse_request` refused."""
    return _refused(WitnessStatus.BAD_REQUEST, f"{error}.")


def cosignature_body(signatures: Sequence[Signature]) -> str:
    """The body of the answer to an accepted checkpoint."""
    return "".join(each.line() for each in signatures)


def parse_conflict(data: bytes) -> int:
    """The size that a witness told in its answer of status 409: from there the log proves its growth."""
    if len(data) > CONFLICT_BYTES_MAX or not data.endswith(b"\n"):
        raise Malformed("the body of a conflict is a size and a newline")
    return parse_size(decode_utf8(data[:-1], "the body of a conflict"), "the size in a conflict")


def origin_path(origin: Origin) -> str:
    """Where a witness serves the last checkpoint of a log, below its monitoring prefix."""
    return f"{sha256(origin.encode('utf-8')).hexdigest()}/checkpoint"


def _judge_growth(request: WitnessRequest, checkpoint: Checkpoint, seen: Seen) -> Decision:
    if request.old_size > checkpoint.size:
        return _refused(
            WitnessStatus.BAD_REQUEST, "The old size is larger than the checkpoint's: a log cannot shrink."
        )
    if request.old_size != seen.size:
        return Refused(WitnessStatus.CONFLICT, f"{seen.size}\n", CONFLICT_CONTENT_TYPE)
    verify_consistency(
        old_size=seen.size,
        old_root=seen.root,
        size=checkpoint.size,
        root=checkpoint.root,
        proof=request.hashes,
    )
    return Accepted(request.signed)


def _refused(status: WitnessStatus, sentence: str) -> Refused:
    return Refused(status, f"{sentence[:1].upper()}{sentence[1:]}\n")
