"""Made-up logs, keys and events, and the tree of RFC 6962 as its text defines it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

from domain.audit.checkpoint import Checkpoint, Origin, SignedCheckpoint, TrustedLog, sign_checkpoint
from domain.audit.entry import entry_bytes
from domain.audit.growth import Edge
from domain.audit.merkle import leaf_hash
from domain.audit.note import KeyName, SignatureKind, Signer
from domain.audit.tiles import EntryBundle, bundles_of_growth
from domain.audit.tree import TiledTree
from domain.events.canonical import Json
from domain.ids import StreamId

LOG = Signer(KeyName("log.example/vivavoce"), SignatureKind.ED25519, bytes(range(32)))
OTHER_LOG = Signer(KeyName("log.example/other"), SignatureKind.ED25519, bytes(range(1, 33)))
WITNESSES = tuple(
    Signer(KeyName(f"witness.example/w{nth}"), SignatureKind.COSIGNATURE_V1, bytes([nth]) * 32)
    for nth in (1, 2, 3)
)
TRUSTED = TrustedLog.of_key(LOG.verifier_key)
STREAM = StreamId("conversation-3f0c1d1a-6f0e-4b7c-9a46-0d2f4f1f1a11")
NOON_S = 1_790_000_000


def header(version: int) -> dict[str, Json]:
    """What the header of an event of a conversation looks like."""
    return {
        "actor": {"id": "3f0c1d1a-6f0e-4b7c-9a46-0d2f4f1f1a11", "kind": "persona"},
        "causation_id": None,
        "classification": "personal",
        "correlation_id": "01919b7c-7b1d-7e3a-8a46-0d2f4f1f1a12",
        "event_id": f"01919b7c-7b1d-7e3a-8a46-{version:012x}",
        "media_ms": 40 * version,
        "occurred_at": "2026-05-04T10:00:00.123456+00:00",
        "payload_sha256": sha256(version.to_bytes(8, "big")).hexdigest(),
        "recorded_at": "2026-05-04T10:00:00.125001+00:00",
        "schema_version": 1,
        "session_epoch": 1,
        "stream_id": STREAM,
        "tenant_id": "b4b3e6a2-14b8-4a5c-9b8e-8f0f6a4f1a13",
        "type": "sentence.committed",
        "version": version,
    }


def leaves(count: int) -> list[bytes]:
    """So many different leaf hashes."""
    return [leaf_hash(nth.to_bytes(4, "big")) for nth in range(count)]


def naive_root(hashes: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, over leaf hashes, by its own recursion."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = naive_split(len(hashes))
    return sha256(b"\x01" + naive_root(hashes[:split]) + naive_root(hashes[split:])).digest()


def naive_inclusion(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1."""
    if len(hashes) == 1:
        return []
    split = naive_split(len(hashes))
    if index < split:
        return [*naive_inclusion(index, hashes[:split]), naive_root(hashes[split:])]
    return [*naive_inclusion(index - split, hashes[split:]), naive_root(hashes[:split])]


def naive_consistency(old: int, hashes: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962, section 2.1.2."""
    if old == len(hashes):
        return [] if whole else [naive_root(hashes)]
    split = naive_split(len(hashes))
    if old <= split:
        return [*naive_consistency(old, hashes[:split], whole=whole), naive_root(hashes[split:])]
    return [*naive_consistency(old - split, hashes[split:], whole=False), naive_root(hashes[:split])]


def naive_split(size: int) -> int:
    """The largest power of two smaller than the size."""
    split = 1
    while 2 * split < size:
        split *= 2
    return split


def tree(hashes: Sequence[bytes]) -> TiledTree:
    """The tree over these leaf hashes, read from the tiles that one growth from nothing writes."""
    return TiledTree(len(hashes), Edge().grown(hashes).tiles.__getitem__)


@cache
def signed(size: int, *, signer: Signer = LOG) -> SignedCheckpoint:
    """The checkpoint over the first leaves."""
    root = Edge().grown(leaves(size)).edge.root()
    return sign_checkpoint(Checkpoint(Origin(signer.name), size, root), signer)


def write_log(folder: Path, size: int) -> bytes:
    """A log of made-up events as files, with its key; its root."""
    entries = [entry_bytes(STREAM, version, header(version)) for version in range(1, size + 1)]
    growth = Edge().grown([leaf_hash(entry) for entry in entries])
    for tile, data in growth.tiles.items():
        _write(folder / tile.path, data)
    for bundle in bundles_of_growth(0, size):
        _write(folder / bundle.path, _encoded(bundle, entries))
    checkpoint = Checkpoint(Origin(LOG.name), size, growth.edge.root())
    _write(folder / "checkpoint", sign_checkpoint(checkpoint, LOG).encode())
    _write(folder / "key.vkey", LOG.verifier_key.text().encode())
    return checkpoint.root


def _encoded(bundle: EntryBundle, entries: Sequence[bytes]) -> bytes:
    return bundle.encode([entries[index] for index in bundle.entries])


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
