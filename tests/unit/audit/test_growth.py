"""Growing a log batch by batch writes the files that growing it at once does."""

from __future__ import annotations

import pytest

from domain.audit.errors import Malformed
from domain.audit.growth import Edge
from domain.audit.lexical import SIZE_MAX
from domain.audit.merkle import EMPTY_ROOT, Frontier
from domain.audit.tiles import HashTile, edge_tiles, tiles_of_growth
from domain.audit.tree import TiledTree
from tests.unit.audit.logs import leaves, naive_root


def test_a_log_that_grows_in_batches_has_the_tiles_of_every_size_it_had() -> None:
    # Given a log of three levels that grows by all kinds of steps
    hashes, edge, store = leaves(70_000), Edge(), dict[HashTile, bytes]()
    sizes = [1, 2, 255, 256, 257, 511, 512, 5000, 65_535, 65_536, 65_537, 65_800, 70_000]

    # When each step writes what it must
    for size in sizes:
        growth = edge.grown(hashes[edge.size : size])
        assert list(growth.tiles) == list(tiles_of_growth(edge.size, size))
        store |= growth.tiles
        edge = growth.edge
        assert edge.size == size

    # Then every size that was published can still be computed from the files
    for size in sizes:
        root = Frontier().extended(hashes[:size]).root()
        assert TiledTree(size, store.__getitem__).root() == root
        assert Edge.of_tiles(size, {tile: store[tile] for tile in edge_tiles(size)}).root() == root


@pytest.mark.parametrize("size", [*range(5), 255, 256, 257, 300])
def test_the_edge_is_the_frontier(size: int) -> None:
    hashes = leaves(size)

    edge = Edge().grown(hashes).edge

    assert edge.frontier() == Frontier().extended(hashes)
    assert edge.root() == naive_root(hashes)


def test_nothing_added_writes_nothing() -> None:
    edge = Edge().grown(leaves(300)).edge

    assert edge.grown([]).tiles == {}
    assert edge.grown([]).edge == edge
    assert Edge().root() == EMPTY_ROOT


def test_an_edge_that_does_not_fit_its_size_is_refused() -> None:
    for size, rows in (
        (1, ()),
        (1, (b"",)),
        (0, (EMPTY_ROOT,)),
        (256, (b"",)),
        (2, (EMPTY_ROOT,)),
        (1, (b"x" * 31,)),
    ):
        with pytest.raises(Malformed, match="right edge"):
            Edge(size, rows)
    for size in (-1, SIZE_MAX + 1):
        with pytest.raises(Malformed, match="a tree has"):
            Edge(size, ())


def test_an_edge_whose_tiles_are_missing_or_short_is_refused_by_name() -> None:
    tiles = {tile: b"\x00" * tile.bytes_expected for tile in edge_tiles(300)}

    with pytest.raises(Malformed, match=r"tile/0/001\.p/44 is needed .* missing"):
        Edge.of_tiles(300, {HashTile(1, 0, 1): tiles[HashTile(1, 0, 1)]})
    with pytest.raises(Malformed, match=r"tile/0/001\.p/44 must have"):
        Edge.of_tiles(300, {**tiles, HashTile(0, 1, 44): b"\x00" * 32})
    assert Edge.of_tiles(300, tiles).size == 300


def test_a_log_does_not_grow_past_the_largest_size_or_by_half_a_hash() -> None:
    tiles = {tile: b"\x00" * tile.bytes_expected for tile in edge_tiles(SIZE_MAX)}
    full = Edge.of_tiles(SIZE_MAX, tiles)

    with pytest.raises(Malformed, match="a tree has"):
        full.grown([EMPTY_ROOT])
    with pytest.raises(Malformed, match="32 bytes"):
        Edge().grown([b"\x00" * 31])
