"""What the log holds of an event: 64 bytes, SHA-256 of its place followed by SHA-256 of its header.

The first half lets anyone who knows a stream's id scan the log for its versions; nobody else learns even
that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256

from domain.audit.errors import Malformed
from domain.audit.lexical import HASH_BYTES
from domain.events.canonical import INTEGER_MAX, Json, NotCanonical, canonical_bytes
from domain.ids import StreamId

ENTRY_BYTES = 2 * HASH_BYTES
VERSION_MAX = 2**63 - 1
# A header is flat but for its actor. A stranger's file may nest until the interpreter's stack ends.
HEADER_DEPTH_MAX = 8

_sorted_json = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False
).encode


def identity_digest(stream: StreamId, version: int) -> bytes:
    """SHA-256(stream id in UTF-8 ‖ version as 64-bit big-endian): where an event stands, for those who know.
    The version is the last eight bytes whatever the id, so that no two places share their bytes."""
    if not 1 <= version <= VERSION_MAX:
        raise Malformed(f"a version is from 1 to {VERSION_MAX}")
    try:
        return sha256(stream.encode("utf-8") + version.to_bytes(8, "big")).digest()
    except UnicodeEncodeError:
        raise Malformed("a stream id with a lone surrogate has no UTF-8 form") from None


def header_bytes(header: Mapping[str, Json]) -> bytes:
    """RFC 8785 JSON of a header. Raises NotCanonical for what has no such form.

    Where keys are ASCII and values are texts, integers, booleans, null or such objects, a sorted dump of the
    standard library is RFC 8785, twenty times as fast as the general encoder; anything else takes the latter.
    """
    if not _is_plain(header, HEADER_DEPTH_MAX):
        _refuse_deep(header, HEADER_DEPTH_MAX)
        return canonical_bytes(header)
    try:
        return _sorted_json(header).encode("utf-8")
    except UnicodeEncodeError:
        raise NotCanonical("a lone surrogate has no UTF-8 form") from None


def header_digest(header: Mapping[str, Json]) -> bytes:
    return sha256(header_bytes(header)).digest()


def entry_bytes(stream: StreamId, version: int, header: Mapping[str, Json]) -> bytes:
    """The log's entry for one event."""
    return identity_digest(stream, version) + header_digest(header)


def entry_halves(entry: bytes) -> tuple[bytes, bytes]:
    """The digests of place and header, as `identity_digest` and `header_digest` make them."""
    if len(entry) != ENTRY_BYTES:
        raise Malformed(f"an entry of this log has {ENTRY_BYTES} bytes, not {len(entry)}")
    return entry[:HASH_BYTES], entry[HASH_BYTES:]


def _is_plain(value: object, depth: int) -> bool:
    """Whether the fast encoder may be used. Exact types are asked for: a subclass may print otherwise."""
    if type(value) is not dict or depth == 0:
        return False
    for key, item in value.items():
        kind = type(item)
        if type(key) is not str or not key.isascii():
            return False
        if kind is str or item is None or kind is bool:
            continue
        if kind is int:
            if not -INTEGER_MAX <= item <= INTEGER_MAX:
                return False
        elif not _is_plain(item, depth - 1):
            return False
    return True


def _refuse_deep(value: Json, depth: int) -> None:
    if isinstance(value, str) or not isinstance(value, Mapping | Sequence):
        return
    if depth == 0:
        raise NotCanonical(f"a header nests at most {HEADER_DEPTH_MAX} levels deep")
    for item in value.values() if isinstance(value, Mapping) else value:
        _refuse_deep(item, depth - 1)
