"""Numbers and bytes as the C2SP texts spell them. Each value has one spelling; every other one is refused."""

from __future__ import annotations

import base64
import binascii
import re

from domain.audit.errors import Malformed

HASH_BYTES = 32
# Signed 64-bit integers hold it in every language that reads the log.
SIZE_MAX = 2**63 - 1

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


def parse_size(text: str, what: str) -> int:
    """A number of leaves, an index or a time: ASCII digits without a sign or leading zeros, up to SIZE_MAX.
    `what` names the place in the error."""
    if _DECIMAL.fullmatch(text) is None or (value := int(text)) > SIZE_MAX:
        raise Malformed(f"{what} must be a decimal number from 0 to 2^63 - 1 without leading zeros")
    return value


def encode_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str, what: str) -> bytes:
    """The bytes of padded standard Base64. Spellings that differ in unused bits are refused: two texts for
    the same bytes would let a file be changed unnoticed."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise Malformed(f"{what} must be standard Base64 with padding") from None
    if encode_base64(data) != text:
        raise Malformed(f"{what} must be Base64 in its one canonical spelling")
    return data


def parse_hash(text: str, what: str) -> bytes:
    """A SHA-256 in Base64."""
    data = decode_base64(text, what)
    if len(data) != HASH_BYTES:
        raise Malformed(f"{what} must be the Base64 of {HASH_BYTES} bytes")
    return data


def decode_utf8(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed(f"{what} must be UTF-8") from None
