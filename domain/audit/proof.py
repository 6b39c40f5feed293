"""C2SP tlog-proof: one text that proves offline that an entry is in a log."""

from __future__ import annotations

from dataclasses import dataclass

from domain.audit.checkpoint import (
    SignedCheckpoint,
    TrustedLog,
    VerifiedCheckpoint,
    parse_signed_checkpoint,
    verify_checkpoint,
)
from domain.audit.errors import Malformed
from domain.audit.lexical import decode_base64, decode_utf8, encode_base64, parse_hash, parse_size
from domain.audit.merkle import PROOF_HASHES_MAX, verify_inclusion
from domain.audit.note import NOTE_BYTES_MAX

EXTRA_BYTES_MAX = 2**16
# The note, the extra bytes in Base64, and room for 63 hashes.
PROOF_BYTES_MAX = NOTE_BYTES_MAX + 2 * EXTRA_BYTES_MAX

_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class LogProof:
    """Where an entry stands, the hashes from its sibling up, and a checkpoint over them. `extra` is opaque,
    and nothing vouches for it."""

    index: int
    hashes: tuple[bytes, ...]
    signed: SignedCheckpoint
    extra: bytes | None = None

    def __post_init__(self) -> None:
        parse_size(str(self.index), "a proof's index")
        if self.index >= self.signed.checkpoint.size:
            raise Malformed(
                f"index {self.index} is outside the checkpoint's log of {self.signed.checkpoint.size} leaves"
            )
        if len(self.hashes) > PROOF_HASHES_MAX:
            raise Malformed(f"a proof has at most {PROOF_HASHES_MAX} hashes, not {len(self.hashes)}")
        if self.extra is not None and len(self.extra) > EXTRA_BYTES_MAX:
            raise Malformed(f"the extra data of a proof has at most {EXTRA_BYTES_MAX} bytes")

    def encode(self) -> bytes:
        """The file, to be called something.tlog-proof."""
        lines = [_HEADER]
        if self.extra is not None:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines += [f"index {self.index}", *map(encode_base64, self.hashes), "", ""]
        return "\n".join(lines).encode("utf-8") + self.signed.encode()


def parse_proof(data: bytes) -> LogProof:
    """The proof that a file spells, without judging it."""
    if len(data) > PROOF_BYTES_MAX:
        raise Malformed(f"a proof has at most {PROOF_BYTES_MAX} bytes")
    head, blank, note = data.partition(b"\n\n")
    if not blank:
        raise Malformed("a proof is its lines, an empty line and a checkpoint")
    lines = decode_utf8(head, "a proof").split("\n", PROOF_HASHES_MAX + 4)
    if lines.pop(0) != _HEADER:
        raise Malformed(f"the first line of a proof is {_HEADER}")
    extra: bytes | None = None
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0).removeprefix("extra "), "the extra data of a proof")
    if not lines or not lines[0].startswith("index "):
        raise Malformed("a proof has one line 'index N' before its hashes")
    index = parse_size(lines.pop(0).removeprefix("index "), "a proof's index")
    if len(lines) > PROOF_HASHES_MAX:
        raise Malformed(f"a proof has at most {PROOF_HASHES_MAX} hashes")
    hashes = tuple(parse_hash(line, f"hash {at} of the proof") for at, line in enumerate(lines, 1))
    return LogProof(index, hashes, parse_signed_checkpoint(note), extra)


def verify_proof(proof: LogProof, leaf: bytes, log: TrustedLog) -> VerifiedCheckpoint:
    """Returns when the leaf hash stands at the proof's index in this log, as a trusted checkpoint says; else
    raises NotSigned or NotProven."""
    verified = verify_checkpoint(proof.signed, log)
    checkpoint = verified.checkpoint
    verify_inclusion(leaf, index=proof.index, size=checkpoint.size, proof=proof.hashes, root=checkpoint.root)
    return verified
