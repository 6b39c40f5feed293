"""RFC 6962 hashing: leaves, nodes, the frontier of a growing tree, and the two proofs.

A hash is the 32 bytes of a SHA-256. The tree of n leaves is the one of RFC 6962, section 2.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from domain.audit.errors import Malformed, NotProven
from domain.audit.lexical import HASH_BYTES, SIZE_MAX

# A path in a tree of at most 2^63 - 1 leaves; the C2SP protocols allow no longer one either.
PROOF_HASHES_MAX = 63

EMPTY_ROOT = sha256(b"").digest()

_NODE = b"\x01"


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 ‖ entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(_NODE + left + right).digest()


def halved(row: bytes) -> bytes:
    """One level up: of hashes side by side, the parents of each two, side by side. A last odd one is left
    out: its parent is not known yet."""
    whole = len(row) - len(row) % (2 * HASH_BYTES)
    return b"".join([sha256(_NODE + row[at : at + 64]).digest() for at in range(0, whole, 64)])


def fold_peaks(peaks: Sequence[bytes]) -> bytes:
    """The hash over perfect subtrees that stand side by side, the largest first. There is at least one."""
    folded = peaks[-1]
    for peak in reversed(peaks[:-1]):
        folded = node_hash(peak, folded)
    return folded


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that is needed of a tree to append to it and to know its root: the roots of its perfect subtrees,
    the largest first, one for each bit that is set in the size."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= SIZE_MAX:
            raise Malformed(f"a tree has from 0 to {SIZE_MAX} leaves")
        if len(self.peaks) != self.size.bit_count():
            raise Malformed(
                f"a tree of {self.size} leaves has {self.size.bit_count()} peaks, not {len(self.peaks)}"
            )
        _need_hashes(self.peaks, "a peak")

    def extended(self, leaves: Iterable[bytes]) -> Frontier:
        """The frontier after these leaf hashes."""
        size, peaks = self.size, list(self.peaks)
        for leaf in leaves:
            if len(leaf) != HASH_BYTES:
                raise Malformed(f"a leaf hash has {HASH_BYTES} bytes")
            node, carry = leaf, size
            while carry & 1:
                node = sha256(_NODE + peaks.pop() + node).digest()
                carry >>= 1
            peaks.append(node)
            size += 1
        return Frontier(size, tuple(peaks))

    def root(self) -> bytes:
        return fold_peaks(self.peaks) if self.peaks else EMPTY_ROOT


def verify_inclusion(leaf: bytes, *, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Returns when the leaf hash stands at `index` of the tree of `size` leaves with this root, else raises
    NotProven. The way is that of RFC 9162, section 2.1.3.2."""
    _need_proof(proof)
    if not 0 <= index < size <= SIZE_MAX:
        raise NotProven(f"index {index} is outside a tree of {size} leaves")
    place, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise NotProven("the inclusion proof is longer than its tree is high")
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            place, last = _to_right_child(place, last)
        else:
            node = node_hash(node, sibling)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise NotProven("the inclusion proof is shorter than its tree is high")
    if node != root:
        raise NotProven(f"the inclusion proof for index {index} does not lead to the root of {size} leaves")


def verify_consistency(
    *, old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> None:
    """Returns when the tree of `size` leaves begins with the tree of `old_size`, else raises NotProven.

    Every tree begins with the empty one, and a tree with itself: their proofs are empty. The way is that of
    RFC 9162, section 2.1.4.2.
    """
    _need_proof(proof)
    if not 0 <= old_size <= size <= SIZE_MAX:
        raise NotProven(f"a tree of {size} leaves cannot begin with one of {old_size}")
    if old_size in (0, size):
        _check_trivial(old_size, old_root, size, root, proof)
        return
    # The old tree's own root stands first unless it is itself a node of the new tree.
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        raise NotProven("the consistency proof is empty")
    place, last = old_size - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old_node = node = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise NotProven("the consistency proof is longer than its tree is high")
        if place & 1 or place == last:
            old_node, node = node_hash(sibling, old_node), node_hash(sibling, node)
            place, last = _to_right_child(place, last)
        else:
            node = node_hash(node, sibling)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise NotProven("the consistency proof is shorter than its tree is high")
    if old_node != old_root:
        raise NotProven(f"the consistency proof does not lead to the root of {old_size} leaves")
    if node != root:
        raise NotProven(f"the consistency proof does not lead to the root of {size} leaves")


def _check_trivial(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    if proof:
        raise NotProven(f"from {old_size} to {size} leaves there is nothing to prove: leave the proof empty")
    if old_size == 0 and old_root != EMPTY_ROOT:
        raise NotProven("the root of an empty tree is the SHA-256 of nothing")
    if old_size == size and old_root != root:
        raise NotProven(f"there are two different roots for {size} leaves")


def _to_right_child(place: int, last: int) -> tuple[int, int]:
    """Up along the right edge, where nodes have no sibling, until the node is a right child or the first."""
    while not place & 1 and place:
        place, last = place >> 1, last >> 1
    return place, last


def _need_proof(proof: Sequence[bytes]) -> None:
    if len(proof) > PROOF_HASHES_MAX:
        raise Malformed(f"a proof has at most {PROOF_HASHES_MAX} hashes, not {len(proof)}")
    _need_hashes(proof, "a hash of a proof")


def _need_hashes(hashes: Sequence[bytes], what: str) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise Malformed(f"{what} has {HASH_BYTES} bytes")
