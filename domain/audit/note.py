"""C2SP signed notes: a text and the signatures under it, and the keys that verify them.

Two kinds of signature are known: Ed25519 over the text (0x01), and a witness's Ed25519 over the text and a
time (0x04, C2SP tlog-cosignature). Others are carried along unread, as the standard demands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from typing import NewType, assert_never

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.audit.errors import Malformed, NotSigned
from domain.audit.lexical import SIZE_MAX, decode_base64, decode_utf8, encode_base64

KeyName = NewType("KeyName", str)

# Sixteen signatures of a post-quantum kind at 5 kB each, which the standard demands room for, fit twice.
NOTE_BYTES_MAX = 2**18
SIGNATURES_MAX = 64
SIGNATURE_BYTES_MAX = 2**13
KEY_NAME_BYTES_MAX = 255
KEY_TEXT_CHARS_MAX = 512
# Seconds since 1970; the standard's bound.
COSIGNATURE_TIME_MAX = SIZE_MAX

KEY_BYTES = 32
_KEY_ID_BYTES = 4
_TIME_BYTES = 8
_DASH = "— "
_PRIVATE_HEAD = "PRIVATE+KEY+"


class SignatureKind(IntEnum):
    ED25519 = 0x01
    COSIGNATURE_V1 = 0x04


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under its name. Name and id together find its signatures in a note."""

    name: KeyName
    kind: SignatureKind
    public: bytes

    def __post_init__(self) -> None:
        _need_name(self.name)
        if len(self.public) != KEY_BYTES:
            raise Malformed(f"an Ed25519 public key has {KEY_BYTES} bytes, not {len(self.public)}")

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name ‖ newline ‖ kind ‖ public key)."""
        named = self.name.encode("utf-8") + b"\n" + bytes([self.kind]) + self.public
        return sha256(named).digest()[:_KEY_ID_BYTES]

    def text(self) -> str:
        """NAME+hex(key id)+base64(kind ‖ public key), what key files hold."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.public)}"


def parse_verifier_key(text: str) -> VerifierKey:
    """The key that a text of the form NAME+hex+base64 spells. Space around it, as in a file, is ignored."""
    name, key_id, kind, material = _parse_key(text.strip(), "a verifier key")
    key = VerifierKey(name, kind, material)
    if key.key_id.hex() != key_id:
        raise Malformed("the id in a verifier key must be the hash of its name and key: it was mistyped")
    return key


@dataclass(frozen=True, slots=True)
class Signature:
    """One line under a note: whose it claims to be, and the bytes, which only a key can make sense of."""

    name: KeyName
    key_id: bytes
    blob: bytes

    def line(self) -> str:
        """— NAME base64(key id ‖ signature), with the newline."""
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.blob)}\n"

    def is_by(self, key: VerifierKey) -> bool:
        """Whether it names the key; whether it is the key's only `Note.verified` tells."""
        return self.name == key.name and self.key_id == key.key_id


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature that a trusted key made. `time_s` is when, in seconds since 1970, if the kind says so."""

    key: VerifierKey
    signature: Signature
    time_s: int | None


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends in a newline, and its signatures. Trust nothing in it before `verified`."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        return f"{self.text}\n{''.join(each.line() for each in self.signatures)}".encode()

    def verified(self, keys: Iterable[VerifierKey]) -> tuple[Verified, ...]:
        """The signatures by these keys, in the keys' order; signatures by others are ignored.

        Raises NotSigned if a signature names one of the keys and is not by it: somebody changed the note.
        That a key did not sign is for the caller to judge.
        """
        found: list[Verified] = []
        for key in distinct_keys(keys):
            mine = [each for each in self.signatures if each.is_by(key)]
            if len(mine) > 1:
                raise NotSigned(f"a note carries two signatures under the key {key.name}, and one is enough")
            found += [_verify(key, self.text, each) for each in mine]
        return tuple(found)

    def signed_too(self, signatures: Iterable[Signature]) -> Note:
        """The note with these signatures after its own. Where a key signed already, its line is kept."""
        merged = {(each.name, each.key_id): each for each in self.signatures}
        for each in signatures:
            merged.setdefault((each.name, each.key_id), each)
        return Note(self.text, tuple(merged.values()))


def parse_note(data: bytes) -> Note:
    """The note that bytes spell, without judging its signatures."""
    if len(data) > NOTE_BYTES_MAX:
        raise Malformed(f"a note has at most {NOTE_BYTES_MAX} bytes")
    whole = decode_utf8(data, "a note")
    if any(char < " " and char != "\n" for char in whole):
        raise Malformed("a note holds no control characters but newlines")
    # Empty lines may stand in the text: the last one divides it from the signatures.
    head, blank, tail = whole.rpartition("\n\n")
    if not blank:
        raise Malformed("a note is a text, an empty line and at least one signature line")
    return Note(head + "\n", parse_signature_lines(tail))


def parse_signature_lines(text: str) -> tuple[Signature, ...]:
    """One or more signature lines, each different and ended by a newline."""
    *lines, rest = text.split("\n", SIGNATURES_MAX + 1)
    if not lines or rest:
        raise Malformed(f"a note has from 1 to {SIGNATURES_MAX} signature lines, each ended by a newline")
    signatures = tuple(_parse_signature(line) for line in lines)
    if len(signatures) > SIGNATURES_MAX:
        raise Malformed(f"a note has at most {SIGNATURES_MAX} signatures")
    if len(set(signatures)) != len(signatures):
        raise Malformed("a note carries the same signature line twice")
    return signatures


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key under its name. Its text form is a secret."""

    name: KeyName
    kind: SignatureKind
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _need_name(self.name)
        if len(self.seed) != KEY_BYTES:
            raise Malformed(f"the seed of an Ed25519 key has {KEY_BYTES} bytes, not {len(self.seed)}")

    @property
    def verifier_key(self) -> VerifierKey:
        return VerifierKey(self.name, self.kind, self._private().public_key().public_bytes_raw())

    def sign(self, text: str) -> Signature:
        """An Ed25519 signature of the note's text."""
        self._need_kind(SignatureKind.ED25519)
        _need_text(text)
        return Signature(self.name, self.verifier_key.key_id, self._private().sign(text.encode("utf-8")))

    def cosign(self, text: str, *, at_s: int) -> Signature:
        """A witness's signature of a checkpoint's text, at a time in seconds since 1970."""
        self._need_kind(SignatureKind.COSIGNATURE_V1)
        _need_text(text)
        if not 1 <= at_s <= COSIGNATURE_TIME_MAX:
            raise Malformed(
                f"the time of a cosignature is from 1 to {COSIGNATURE_TIME_MAX} seconds since 1970"
            )
        signed = self._private().sign(cosigned_message(text, at_s))
        return Signature(self.name, self.verifier_key.key_id, at_s.to_bytes(_TIME_BYTES, "big") + signed)

    def secret_text(self) -> str:
        """PRIVATE+KEY+NAME+hex(key id)+base64(kind ‖ seed), for a key file that only its owner may read."""
        material = encode_base64(bytes([self.kind]) + self.seed)
        return f"{_PRIVATE_HEAD}{self.name}+{self.verifier_key.key_id.hex()}+{material}"

    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    def _need_kind(self, kind: SignatureKind) -> None:
        if self.kind is not kind:
            raise Malformed(
                f"the key {self.name} is of kind {self.kind.name}, and {kind.name} is needed here"
            )


def parse_signer(text: str) -> Signer:
    """The private key that `Signer.secret_text` spelled. Space around it, as in a file, is ignored."""
    stripped = text.strip()
    if not stripped.startswith(_PRIVATE_HEAD):
        raise Malformed(f"a private key's text begins with {_PRIVATE_HEAD}")
    name, key_id, kind, seed = _parse_key(stripped.removeprefix(_PRIVATE_HEAD), "a private key")
    signer = Signer(name, kind, seed)
    if signer.verifier_key.key_id.hex() != key_id:
        raise Malformed("the id in a private key must be the hash of its name and key: it was mistyped")
    return signer


def cosigned_message(text: str, at_s: int) -> bytes:
    """What a witness signs: a header line, the time, and the whole text of the checkpoint."""
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()


def _verify(key: VerifierKey, text: str, signature: Signature) -> Verified:
    match key.kind:
        case SignatureKind.ED25519:
            time_s, message, signed = None, text.encode("utf-8"), signature.blob
        case SignatureKind.COSIGNATURE_V1:
            time_s = int.from_bytes(signature.blob[:_TIME_BYTES], "big")
            message, signed = cosigned_message(text, time_s), signature.blob[_TIME_BYTES:]
            if not 1 <= time_s <= COSIGNATURE_TIME_MAX:
                raise NotSigned(f"the cosignature under the key {key.name} has no time that could be right")
        case _:
            assert_never(key.kind)
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signed, message)
    except InvalidSignature:
        raise NotSigned(f"the signature under the key {key.name} is not of this text") from None
    return Verified(key, signature, time_s)


def _parse_signature(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise Malformed("a signature line is an em dash, a space, the key's name, a space and Base64")
    _need_name(name)
    data = decode_base64(encoded, "a signature")
    if not _KEY_ID_BYTES < len(data) <= SIGNATURE_BYTES_MAX:
        raise Malformed(f"a signature is a key id of 4 bytes and more, at most {SIGNATURE_BYTES_MAX} bytes")
    return Signature(KeyName(name), data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


def _parse_key(text: str, what: str) -> tuple[KeyName, str, SignatureKind, bytes]:
    """Name, id in hexadecimal, kind and 32 bytes of key. Base64 may hold a plus, a name may not."""
    parts = text.split("+", 2)
    if len(text) > KEY_TEXT_CHARS_MAX or len(parts) != 3:
        raise Malformed(f"{what} is NAME+hex+base64 of at most {KEY_TEXT_CHARS_MAX} characters")
    name, key_id, encoded = parts
    data = decode_base64(encoded, f"the last part of {what}")
    if len(data) != 1 + KEY_BYTES or data[0] not in set(SignatureKind):
        kinds = " or ".join(f"0x{kind:02x}" for kind in SignatureKind)
        raise Malformed(f"the last part of {what} is the Base64 of {kinds} and {KEY_BYTES} bytes of key")
    return KeyName(name), key_id, SignatureKind(data[0]), data[1:]


def distinct_keys(keys: Iterable[VerifierKey]) -> list[VerifierKey]:
    """The keys, each once. Two different ones with the same name and id could not be told apart."""
    by_id: dict[tuple[KeyName, bytes], VerifierKey] = {}
    for key in keys:
        if by_id.setdefault((key.name, key.key_id), key) != key:
            raise Malformed(f"two trusted keys are called {key.name} and share an id: rename one")
    return list(by_id.values())


def _need_name(name: str) -> None:
    if not name or any(char.isspace() or char < " " or char == "+" for char in name):
        raise Malformed("a key's name is not empty and holds no space, plus or control character")
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise Malformed("a key's name must be UTF-8") from None
    if size > KEY_NAME_BYTES_MAX:
        raise Malformed(f"a key's name has at most {KEY_NAME_BYTES_MAX} bytes")


def _need_text(text: str) -> None:
    if not text.endswith("\n") or any(char < " " and char != "\n" for char in text):
        raise Malformed("the text of a note ends in a newline and holds no other control character")
