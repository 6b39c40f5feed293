"""Growing a log: from the partial tiles of its right edge and new leaves to the tiles that must be saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from domain.audit.errors import Malformed
from domain.audit.lexical import HASH_BYTES, SIZE_MAX
from domain.audit.merkle import Frontier, halved
from domain.audit.tiles import TILE_BYTES, TILE_HEIGHT, TILE_WIDTH, HashTile, edge_tiles, level_size, levels


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of a tree of `size` leaves: at each level of tiles the hashes, side by side, that do not
    fill a tile. It is all that is needed to go on, and the root follows from it."""

    size: int = 0
    rows: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= SIZE_MAX:
            raise Malformed(f"a tree has from 0 to {SIZE_MAX} leaves")
        widths = [level_size(self.size, level) % TILE_WIDTH for level in range(levels(self.size))]
        if [len(row) for row in self.rows] != [width * HASH_BYTES for width in widths]:
            raise Malformed(f"these rows are not the right edge of a tree of {self.size} leaves")

    @classmethod
    def of_tiles(cls, size: int, tiles: Mapping[HashTile, bytes]) -> Edge:
        """The edge read back from `edge_tiles(size)`."""
        partial = {tile.level: tile for tile in edge_tiles(size)}
        rows: list[bytes] = []
        for level in range(levels(size)):
            tile = partial.get(level)
            if tile is not None and tile not in tiles:
                raise Malformed(f"{tile.path} is needed to go on from {size} leaves, and is missing")
            rows.append(b"" if tile is None else tile.check(tiles[tile]))
        return cls(size, tuple(rows))

    def grown(self, leaves: Sequence[bytes]) -> Growth:
        """The edge after these leaf hashes, and every tile to write for it."""
        if any(len(leaf) != HASH_BYTES for leaf in leaves):
            raise Malformed(f"a leaf hash has {HASH_BYTES} bytes")
        rows: list[bytes] = []
        tiles: dict[HashTile, bytes] = {}
        size, added = self.size + len(leaves), b"".join(leaves)
        for level in range(levels(size)):
            row = (self.rows[level] if level < len(self.rows) else b"") + added
            first, full = level_size(self.size, level) // TILE_WIDTH, len(row) // TILE_BYTES
            for nth in range(full):
                tiles[HashTile(level, first + nth)] = row[nth * TILE_BYTES : (nth + 1) * TILE_BYTES]
            rest = row[full * TILE_BYTES :]
            if rest and added:
                tiles[HashTile(level, first + full, len(rest) // HASH_BYTES)] = rest
            rows.append(rest)
            added = _roots(row[: full * TILE_BYTES])
        return Growth(Edge(size, tuple(rows)), tiles)

    def frontier(self) -> Frontier:
        """The same edge as the roots of perfect subtrees."""
        peaks: list[bytes] = []
        for row in reversed(self.rows):
            peaks += _peaks(row)
        return Frontier(self.size, tuple(peaks))

    def root(self) -> bytes:
        return self.frontier().root()


@dataclass(frozen=True, slots=True)
class Growth:
    """What became of an edge: the new one, and the tiles that it needs on disk before it is published."""

    edge: Edge
    tiles: Mapping[HashTile, bytes] = field(repr=False)


def _roots(row: bytes) -> bytes:
    """The roots of full tiles, side by side."""
    for _ in range(TILE_HEIGHT):
        row = halved(row)
    return row


def _peaks(row: bytes) -> list[bytes]:
    """The roots of the perfect subtrees over a row of fewer than 256 hashes, the largest first."""
    peaks: list[bytes] = []
    while row:
        width = 1 << (len(row) // HASH_BYTES).bit_length() - 1
        subtree, row = row[: width * HASH_BYTES], row[width * HASH_BYTES :]
        while len(subtree) > HASH_BYTES:
            subtree = halved(subtree)
        peaks.append(subtree)
    return peaks
