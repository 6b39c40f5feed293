"""Roots and proofs out of tiles, against the recursion of RFC 6962 and against another program's proofs."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from domain.audit.errors import Malformed, NotProven
from domain.audit.growth import Edge
from domain.audit.lexical import SIZE_MAX
from domain.audit.merkle import EMPTY_ROOT, leaf_hash, verify_consistency, verify_inclusion
from domain.audit.tiles import HashTile
from domain.audit.tree import (
    TILES_HELD_MAX,
    TiledTree,
    consistency_ranges,
    inclusion_ranges,
    tiles_of_ranges,
)
from tests.unit.audit.logs import leaves, naive_consistency, naive_inclusion, naive_root, tree

# Made by golang.org/x/mod/sumdb/tlog for the leaves "leaf 0" to "leaf 299": root, leaf 123, growth from 77.
GO_ROOT = "56/ILTiUT8eTBUUygJHUWCMojB9zTL2sBjlnE+vUtdU="
GO_INCLUSION = """
BYrFDN48FRlN5sej8LnM/v/F3tY1TCMcuZscBHeP03I= 9BGeunPsS3PkHbF/ePet4cBrI9IfWpf4UNiZ2aUSys8=
q2E5FcC+wFq8aNqbGsRKLw7tEnVIcuEtXlkXP/CbYsk= qvLsXiwNnEtm92lORUEAJhTAVCk+Ml3Qe5QVomEtI5U=
6YyTlgJYikZLdfyMsEqjkDPisA/rlM6I6hrCg8Ze4SE= U3A9+rI/wMUiV12V1nEqXjo3o/dJE7PAONsTmYkJzdQ=
8mHiNpLZeP2sP9lJ21SVlApDeuZxuabd6aphGNADZS8= TndYvhQHCGQLIOAoJoyUaxKGfXKHvJn6bfGegnsNkAo=
d3QiiY7L9//1QBZZ1AvIEHfvfsF/o9uNqPnP6JKjWfg=
"""
GO_CONSISTENCY = """
Pyx/k9sN800CDgLFOr2ZELOnVcfNibOxXJZM7x8X+28= vXUsgolRTlYDvZxtfSr0jWZv3WKgXGxU0TZjhwXpFg8=
zBW6Qr9oz3BhOavLSoA03nGt8qrms1h9FEYzJ40StuA= 8lu2xqW/nAlEqMSLOB4GUlbp89B0szS7Ha4PFvU6wqE=
yHRVrsfGvTMAhhE+UytJfCPaxmJs4e80tsXk23BeWXw= R9g+zlzlAnoBfX4/SU5pOk2i/3UqOYX7Ay6FULsDnrA=
uIgweUbh8bjypoN4MNiusCIFHpgVHyxqD1GiIyh4Mug= 8mHiNpLZeP2sP9lJ21SVlApDeuZxuabd6aphGNADZS8=
TndYvhQHCGQLIOAoJoyUaxKGfXKHvJn6bfGegnsNkAo= d3QiiY7L9//1QBZZ1AvIEHfvfsF/o9uNqPnP6JKjWfg=
"""

SIZES = [*range(1, 70), 127, 128, 129, 255, 256, 257, 299, 300]


def test_every_root_up_to_300_is_the_one_of_the_recursion() -> None:
    hashes = leaves(300)

    assert tree([]).root() == EMPTY_ROOT
    for size in range(1, 301):
        assert tree(hashes[:size]).root() == naive_root(hashes[:size])


@pytest.mark.parametrize("size", SIZES)
def test_every_inclusion_proof_is_the_one_of_the_recursion_and_verifies(size: int) -> None:
    hashes = leaves(size)
    tiled, root = tree(hashes), naive_root(hashes)

    for index in range(size) if size < 70 else {0, 1, 63, 64, size // 2, size - 2, size - 1}:
        proof = tiled.inclusion(index)
        assert list(proof) == naive_inclusion(index, hashes)
        assert tiled.leaf(index) == hashes[index]
        verify_inclusion(hashes[index], index=index, size=size, proof=proof, root=root)


@pytest.mark.parametrize("size", SIZES)
def test_every_consistency_proof_is_the_one_of_the_recursion_and_verifies(size: int) -> None:
    hashes = leaves(size)
    tiled, root = tree(hashes), naive_root(hashes)

    assert tiled.consistency(0) == ()
    for old in range(1, size + 1) if size < 70 else {1, 64, 126, size // 2, size - 1, size}:
        proof = tiled.consistency(old)
        assert list(proof) == naive_consistency(old, hashes)
        verify_consistency(old_size=old, old_root=naive_root(hashes[:old]), size=size, root=root, proof=proof)


def test_another_programs_proofs_are_reached() -> None:
    tiled = tree([leaf_hash(f"leaf {nth}".encode()) for nth in range(300)])

    assert tiled.root() == base64.b64decode(GO_ROOT)
    assert [base64.b64encode(each).decode() for each in tiled.inclusion(123)] == GO_INCLUSION.split()
    assert [base64.b64encode(each).decode() for each in tiled.consistency(77)] == GO_CONSISTENCY.split()


def test_a_proof_reads_just_the_tiles_that_were_announced() -> None:
    # Given a log of three levels of tiles, and what proofs announce to need of it
    hashes = leaves(70_000)
    growth, read = Edge().grown(hashes), set[HashTile]()

    def reading(tile: HashTile) -> bytes:
        read.add(tile)
        return growth.tiles[tile]

    for index, old in ((0, 1), (33_333, 65_536), (69_999, 69_998), (65_535, 513)):
        for prove, ranges in (
            (TiledTree(70_000, reading).inclusion, inclusion_ranges(index, 70_000)),
            (TiledTree(70_000, reading).consistency, consistency_ranges(old, 70_000)),
        ):
            read.clear()
            prove(index if prove.__name__ == "inclusion" else old)
            assert read == tiles_of_ranges(ranges, 70_000)
            assert len(read) <= 4


def test_neighbours_proofs_read_each_tile_once_and_the_memory_for_them_is_bounded() -> None:
    # Given a row of so many full tiles that they are one more than are held
    reads: list[HashTile] = []
    row = b"".join(leaves(256))

    def reading(tile: HashTile) -> bytes:
        reads.append(tile)
        return row[: tile.bytes_expected]

    tiled = TiledTree(256 * (TILES_HELD_MAX + 1), reading)

    # When each of the tiles is read twice in turn
    for nth in range(TILES_HELD_MAX):
        tiled.leaf(256 * nth)
        tiled.leaf(256 * nth + 255)
    assert len(reads) == TILES_HELD_MAX

    # Then the one that was not used for longest makes room for the next
    tiled.leaf(0)
    tiled.leaf(256 * TILES_HELD_MAX)
    tiled.leaf(0)
    assert len(reads) == TILES_HELD_MAX + 1
    tiled.leaf(256)
    assert len(reads) == TILES_HELD_MAX + 2


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: data + bytes(32), lambda _: b""])
def test_a_tile_of_another_length_is_refused_by_name(spoil: Callable[[bytes], bytes]) -> None:
    tiles = Edge().grown(leaves(300)).tiles
    tiled = TiledTree(300, lambda tile: spoil(tiles[tile]))

    with pytest.raises(Malformed, match=r"tile/0/001\.p/44 must have 1408 bytes"):
        tiled.inclusion(299)


def test_a_changed_tile_proves_nothing() -> None:
    hashes = leaves(300)
    root, tiles = naive_root(hashes), Edge().grown(hashes).tiles
    for spoilt, index in ((HashTile(0, 0), 7), (HashTile(0, 1, 44), 299), (HashTile(1, 0, 1), 260)):
        data = bytes([tiles[spoilt][0] ^ 1]) + tiles[spoilt][1:]
        tiled = TiledTree(300, {**tiles, spoilt: data}.__getitem__)

        with pytest.raises(NotProven, match="does not lead"):
            verify_inclusion(hashes[index], index=index, size=300, proof=tiled.inclusion(index), root=root)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5), (0, SIZE_MAX + 1), (2**70, 2**71)])
def test_an_index_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(Malformed, match=r"outside|a tree has"):
        inclusion_ranges(index, size)
    with pytest.raises(Malformed, match=r"outside|a tree has"):
        TiledTree(size, lambda _: b"").leaf(index)


@pytest.mark.parametrize(("old", "size"), [(6, 5), (-1, 5), (1, SIZE_MAX + 1)])
def test_a_log_does_not_grow_backwards(old: int, size: int) -> None:
    with pytest.raises(Malformed, match="cannot begin"):
        consistency_ranges(old, size)


def test_only_subtrees_have_hashes() -> None:
    tiled = tree(leaves(20))

    assert tiled.hash_of((16, 20)) == naive_root(leaves(20)[16:20])
    for low, high in ((1, 3), (4, 4), (16, 21), (-2, 0), (12, 20)):
        with pytest.raises(Malformed, match="no subtree"):
            tiled.hash_of((low, high))


def test_proofs_in_the_largest_log_there_can_be_are_within_the_protocols_bound() -> None:
    assert len(inclusion_ranges(SIZE_MAX - 1, SIZE_MAX)) <= 63
    assert len(inclusion_ranges(0, SIZE_MAX)) == 63
    assert len(consistency_ranges(SIZE_MAX - 1, SIZE_MAX)) <= 63
    assert len(tiles_of_ranges(inclusion_ranges(0, SIZE_MAX), SIZE_MAX)) <= 16
