"""Roots and proofs of a log, computed from its tiles.

A place in the tree is a half-open range of leaf indices, as in RFC 6962. What this computes is only as true
as the tiles: compare `root()` with a signed checkpoint before relying on any of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TypeAlias

from domain.audit.errors import Malformed
from domain.audit.lexical import HASH_BYTES, SIZE_MAX
from domain.audit.merkle import EMPTY_ROOT, fold_peaks, halved
from domain.audit.tiles import TILE_HEIGHT, TILE_WIDTH, HashTile, hash_tile

# The bytes of a tile by its name. Raises what it raises when there is none.
ReadTile: TypeAlias = Callable[[HashTile], bytes]
LeafRange: TypeAlias = tuple[int, int]

# Sixteen kilobytes each with the levels between. Proofs for neighbours read the same few.
TILES_HELD_MAX = 256


def inclusion_ranges(index: int, size: int) -> tuple[LeafRange, ...]:
    """The subtrees whose hashes prove the leaf at `index`, from its sibling up (RFC 6962, section 2.1.1)."""
    if not 0 <= index < size <= SIZE_MAX:
        raise Malformed(f"index {index} is outside a tree of {size} leaves")
    low, high = 0, size
    ranges: list[LeafRange] = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    return tuple(reversed(ranges))


def consistency_ranges(old: int, size: int) -> tuple[LeafRange, ...]:
    """The subtrees whose hashes prove that a tree of `size` leaves begins with the one of `old` (RFC 6962,
    section 2.1.2)."""
    if not 0 <= old <= size <= SIZE_MAX:
        raise Malformed(f"a tree of {size} leaves cannot begin with one of {old}")
    if old in (0, size):
        return ()
    low, high = 0, size
    ranges: list[LeafRange] = []
    while high != old:
        middle = low + _split(high - low)
        if old <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    # The verifier has the hash of the range from the first leaf: it is the old root.
    if low > 0:
        ranges.append((low, high))
    return tuple(reversed(ranges))


def tiles_of_ranges(ranges: Iterable[LeafRange], size: int) -> frozenset[HashTile]:
    """The tiles that the hashes of these ranges are read from, so that a caller can fetch them beforehand."""
    return frozenset(
        _tile_of(height, index, size) for low, high in ranges for height, index in _perfect(low, high)
    )


class TiledTree:
    """The tree of a log's first `size` leaves. `read` is asked for each tile that is needed, at that size."""

    def __init__(self, size: int, read: ReadTile) -> None:
        if not 0 <= size <= SIZE_MAX:
            raise Malformed(f"a tree has from 0 to {SIZE_MAX} leaves")
        self.size = size
        self._read = read
        self._held: OrderedDict[HashTile, tuple[bytes, ...]] = OrderedDict()

    def root(self) -> bytes:
        return self.hash_of((0, self.size)) if self.size else EMPTY_ROOT

    def leaf(self, index: int) -> bytes:
        """The leaf hash at this index."""
        if not 0 <= index < self.size:
            raise Malformed(f"index {index} is outside a tree of {self.size} leaves")
        return self._node(0, index)

    def inclusion(self, index: int) -> tuple[bytes, ...]:
        """The proof for the leaf at this index, as `verify_inclusion` takes it."""
        return tuple(self.hash_of(each) for each in inclusion_ranges(index, self.size))

    def consistency(self, old: int) -> tuple[bytes, ...]:
        """The proof that this tree begins with its first `old` leaves, as `verify_consistency` takes it."""
        return tuple(self.hash_of(each) for each in consistency_ranges(old, self.size))

    def hash_of(self, leaves: LeafRange) -> bytes:
        """The hash of a subtree as RFC 6962 divides the tree: its first leaf stands at a multiple of the
        largest power of two that it holds."""
        low, high = leaves
        if not 0 <= low < high <= self.size or low % (1 << (high - low).bit_length() - 1):
            raise Malformed(f"the leaves from {low} to {high} are no subtree of a tree of {self.size}")
        return fold_peaks([self._node(height, index) for height, index in _perfect(low, high)])

    def _node(self, height: int, index: int) -> bytes:
        tile = _tile_of(height, index, self.size)
        row = height % TILE_HEIGHT
        at = (index % (TILE_WIDTH >> row)) * HASH_BYTES
        return self._rows(tile)[row][at : at + HASH_BYTES]

    def _rows(self, tile: HashTile) -> tuple[bytes, ...]:
        """The tile's hashes and the levels above them, up to the one below the next tile."""
        rows = self._held.get(tile)
        if rows is not None:
            self._held.move_to_end(tile)
            return rows
        built = [tile.check(self._read(tile))]
        while len(built) < TILE_HEIGHT:
            built.append(halved(built[-1]))
        rows = self._held[tile] = tuple(built)
        if len(self._held) > TILES_HELD_MAX:
            self._held.popitem(last=False)
        return rows


def _split(size: int) -> int:
    """The largest power of two below the size."""
    return 1 << (size - 1).bit_length() - 1


def _perfect(low: int, high: int) -> list[tuple[int, int]]:
    """Height and index of the perfect subtrees side by side that make a subtree up, the largest first."""
    nodes: list[tuple[int, int]] = []
    while low < high:
        height = (high - low).bit_length() - 1
        nodes.append((height, low >> height))
        low += 1 << height
    return nodes


def _tile_of(height: int, index: int, size: int) -> HashTile:
    """The tile in which the perfect subtree can be computed from the hashes at the tile's level."""
    level, row = divmod(height, TILE_HEIGHT)
    return hash_tile(size, level, (index << row) // TILE_WIDTH)
