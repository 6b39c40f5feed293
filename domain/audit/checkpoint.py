"""C2SP tlog-checkpoint: a log's size and root, signed by the log and cosigned by witnesses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NewType

from domain.audit.errors import Malformed, NotProven, NotSigned
from domain.audit.lexical import HASH_BYTES, decode_utf8, encode_base64, parse_hash, parse_size
from domain.audit.merkle import EMPTY_ROOT
from domain.audit.note import (
    NOTE_BYTES_MAX,
    Note,
    Signature,
    SignatureKind,
    Signer,
    Verified,
    VerifierKey,
    distinct_keys,
    parse_note,
    parse_signature_lines,
)

# What a log calls itself: the first line of its checkpoints, by which witnesses tell logs apart.
Origin = NewType("Origin", str)

ORIGIN_BYTES_MAX = 255
EXTENSION_LINES_MAX = 16
EXTENSION_BYTES_MAX = 1024
WITNESSES_MAX = 32


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's state: so many leaves, and the root over them."""

    origin: Origin
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parse_size(str(self.size), "a checkpoint's size")
        if len(self.root) != HASH_BYTES:
            raise Malformed(f"a checkpoint's root has {HASH_BYTES} bytes, not {len(self.root)}")
        _need_line(self.origin, "a checkpoint's origin", ORIGIN_BYTES_MAX)
        if len(self.extensions) > EXTENSION_LINES_MAX:
            raise Malformed(f"a checkpoint has at most {EXTENSION_LINES_MAX} extension lines")
        for line in self.extensions:
            _need_line(line, "an extension line", EXTENSION_BYTES_MAX)

    def check_empty(self) -> None:
        """Raises NotProven where the log is empty and the root is not the one of an empty tree."""
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise NotProven("the root of an empty tree is the SHA-256 of nothing")

    def text(self) -> str:
        """What is signed: a line each for origin, size, root and every extension."""
        lines = [self.origin, str(self.size), encode_base64(self.root), *self.extensions]
        return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in the text of a note, signatures aside."""
    *lines, rest = text.split("\n", EXTENSION_LINES_MAX + 4)
    if rest or len(lines) < 3:
        raise Malformed(
            "a checkpoint is a line each for origin, size and root, and "
            f"at most {EXTENSION_LINES_MAX} extension lines, each ended by a newline"
        )
    origin, size, root, *extensions = lines
    return Checkpoint(
        Origin(origin),
        parse_size(size, "a checkpoint's size"),
        parse_hash(root, "a checkpoint's root"),
        tuple(extensions),
    )


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint and the note that carries it. Trust nothing in it before `verified`."""

    checkpoint: Checkpoint
    note: Note

    def encode(self) -> bytes:
        return self.note.encode()

    def cosigned(self, signatures: Sequence[Signature]) -> SignedCheckpoint:
        """With these signatures too."""
        return SignedCheckpoint(self.checkpoint, self.note.signed_too(signatures))


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> SignedCheckpoint:
    text = checkpoint.text()
    return SignedCheckpoint(checkpoint, Note(text, (signer.sign(text),)))


def parse_signed_checkpoint(data: bytes) -> SignedCheckpoint:
    """The checkpoint in a note, without judging its signatures."""
    note = parse_note(data)
    return SignedCheckpoint(parse_checkpoint(note.text), note)


@dataclass(frozen=True, slots=True)
class WitnessPolicy:
    """Of these witnesses, so many must have cosigned. Two entries with one key would be one witness twice."""

    witnesses: tuple[VerifierKey, ...] = ()
    needed: int = 0

    def __post_init__(self) -> None:
        if len(self.witnesses) > WITNESSES_MAX:
            raise Malformed(f"a policy names at most {WITNESSES_MAX} witnesses")
        if not 0 <= self.needed <= len(self.witnesses):
            raise Malformed(f"a policy of {len(self.witnesses)} witnesses cannot need {self.needed} of them")
        distinct_keys(self.witnesses)
        if any(key.kind is not SignatureKind.COSIGNATURE_V1 for key in self.witnesses):
            raise Malformed("a witness's key is of kind 0x04; this one is a log's, or of an unknown kind")
        if len({key.public for key in self.witnesses}) != len(self.witnesses):
            raise Malformed("two witnesses of a policy have the same key: name each once")

    def check(self, cosigned: Sequence[Verified]) -> None:
        """Raises NotSigned unless enough of the witnesses are among these, whose signatures were verified."""
        present = {each.key for each in cosigned} & set(self.witnesses)
        if len(present) < self.needed:
            raise NotSigned(
                f"{self.needed} of {len(self.witnesses)} witnesses must have cosigned; {len(present)} have"
            )


NO_WITNESSES = WitnessPolicy()


@dataclass(frozen=True, slots=True)
class TrustedLog:
    """A log as a verifier knows it, from a source it trusts: the origin, and the keys that sign for it."""

    origin: Origin
    keys: tuple[VerifierKey, ...]
    policy: WitnessPolicy = NO_WITNESSES

    def __post_init__(self) -> None:
        distinct_keys(self.keys)
        if not self.keys or any(key.kind is not SignatureKind.ED25519 for key in self.keys):
            raise Malformed("a log is trusted by one key or more, each of kind 0x01")
        if {key.public for key in self.keys} & {key.public for key in self.policy.witnesses}:
            raise Malformed("a log cannot be its own witness: one of the witnesses has the log's key")

    @classmethod
    def of_key(cls, key: VerifierKey, policy: WitnessPolicy = NO_WITNESSES) -> TrustedLog:
        """The log whose origin is the name of its key, as the standard recommends."""
        return cls(Origin(key.name), (key,), policy)


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint that a trusted log signed, and which of the policy's witnesses stand behind it."""

    checkpoint: Checkpoint
    signed: tuple[Verified, ...]
    cosigned: tuple[Verified, ...]


def verify_checkpoint(signed: SignedCheckpoint, log: TrustedLog) -> VerifiedCheckpoint:
    """Returns when the checkpoint is the log's, signed by one of its keys and by enough witnesses. Otherwise
    raises NotSigned, or NotProven where an empty log has the root of another.

    A cosignature's time is told and not judged: that takes a clock.
    """
    if parse_checkpoint(signed.note.text) != signed.checkpoint:
        raise Malformed("a signed checkpoint must be what its note says")
    if signed.checkpoint.origin != log.origin:
        raise NotSigned("the checkpoint is another log's: its origin is not the trusted one")
    by_log = signed.note.verified(log.keys)
    if not by_log:
        raise NotSigned(f"no trusted key of the log {log.origin} has signed the checkpoint")
    signed.checkpoint.check_empty()
    cosigned = signed.note.verified(log.policy.witnesses)
    log.policy.check(cosigned)
    return VerifiedCheckpoint(signed.checkpoint, by_log, cosigned)


def parse_cosignatures(
    data: bytes, signed: SignedCheckpoint, witnesses: Sequence[VerifierKey]
) -> tuple[Verified, ...]:
    """A witness's answer: the lines in it that these witnesses signed for this checkpoint. Others are
    ignored; raises NotSigned when none is left."""
    if len(data) > NOTE_BYTES_MAX:
        raise Malformed(f"a witness's answer has at most {NOTE_BYTES_MAX} bytes")
    lines = parse_signature_lines(decode_utf8(data, "a witness's answer"))
    verified = Note(signed.note.text, lines).verified(witnesses)
    if not verified:
        raise NotSigned("the witness's answer holds no cosignature by a key that is configured for it")
    return verified


def _need_line(line: str, what: str, bytes_max: int) -> None:
    if not line or any(char < " " for char in line):
        raise Malformed(f"{what} is one line, not empty and without control characters")
    try:
        size = len(line.encode("utf-8"))
    except UnicodeEncodeError:
        raise Malformed(f"{what} must be UTF-8") from None
    if size > bytes_max:
        raise Malformed(f"{what} has at most {bytes_max} bytes")
