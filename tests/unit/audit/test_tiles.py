"""Names and contents of a log's files, as C2SP tlog-tiles has them."""

from __future__ import annotations

import pytest

from domain.audit.errors import Malformed
from domain.audit.lexical import SIZE_MAX
from domain.audit.tiles import (
    BUNDLE_BYTES_MAX,
    BUNDLED_ENTRY_BYTES_MAX,
    LEVEL_MAX,
    TILE_INDEX_MAX,
    TILE_PATH_CHARS_MAX,
    EntryBundle,
    HashTile,
    bundles_of_growth,
    edge_tiles,
    hash_tile,
    parse_tile_path,
    tiles_of_growth,
)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (HashTile(0, 0), "tile/0/000"),
        (HashTile(0, 273, 112), "tile/0/273.p/112"),
        (HashTile(1, 1_234_067), "tile/1/x001/x234/067"),
        (HashTile(63, 1000, 1), "tile/63/x001/000.p/1"),
        (EntryBundle(0, 255), "tile/entries/000.p/255"),
        (EntryBundle(999), "tile/entries/999"),
        (EntryBundle(TILE_INDEX_MAX, 255), "tile/entries/x036/x028/x797/x018/x963/967.p/255"),
    ],
)
def test_a_file_has_one_name_and_the_name_one_meaning(name: HashTile | EntryBundle, path: str) -> None:
    assert name.path == path
    assert parse_tile_path(path) == name
    assert len(path) <= TILE_PATH_CHARS_MAX


@pytest.mark.parametrize(
    "path",
    [
        "",
        "checkpoint",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/-01",
        "tile/0/+01",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/x001000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "tile/0/../../etc/passwd",
        "tile/Entries/000",
        "tile/entries/x036/x028/x797/x018/x963/968",
        "tile/0/" + "x999/" * 6 + "999",
        "tile/0/" + "x999/" * 100_000 + "999",
    ],
)
def test_any_other_path_is_refused(path: str) -> None:
    with pytest.raises(Malformed, match="tile"):
        parse_tile_path(path)


@pytest.mark.parametrize(
    ("level", "index", "width"),
    [
        (-1, 0, 1),
        (LEVEL_MAX + 1, 0, 1),
        (0, -1, 1),
        (0, TILE_INDEX_MAX + 1, 1),
        (0, 0, 0),
        (0, 0, 257),
        (0, 0, -1),
    ],
)
def test_a_tile_that_cannot_be_is_refused(level: int, index: int, width: int) -> None:
    with pytest.raises(Malformed, match="a tile's"):
        HashTile(level, index, width)
    if level == 0:
        with pytest.raises(Malformed, match="a tile's"):
            EntryBundle(index, width)


def test_the_standards_example_of_70_000_leaves() -> None:
    tiles = list(tiles_of_growth(0, 70_000))

    assert tiles == [
        *(HashTile(0, index) for index in range(273)),
        HashTile(0, 273, 112),
        HashTile(1, 0),
        HashTile(1, 1, 17),
        HashTile(2, 0, 1),
    ]
    assert edge_tiles(70_000) == (HashTile(0, 273, 112), HashTile(1, 1, 17), HashTile(2, 0, 1))
    assert list(tiles_of_growth(0, 256)) == [HashTile(0, 0), HashTile(1, 0, 1)]
    assert edge_tiles(256) == (HashTile(1, 0, 1),)


def test_a_growth_writes_what_changed_and_nothing_else() -> None:
    # Within a tile: the wider one. Over its end: the full one, the next, and the hash of the full one above.
    assert list(tiles_of_growth(3, 5)) == [HashTile(0, 0, 5)]
    assert list(tiles_of_growth(250, 258)) == [HashTile(0, 0), HashTile(0, 1, 2), HashTile(1, 0, 1)]
    assert list(tiles_of_growth(65_535, 65_536)) == [HashTile(0, 255), HashTile(1, 0), HashTile(2, 0, 1)]
    assert list(bundles_of_growth(250, 258)) == [EntryBundle(0), EntryBundle(1, 2)]
    assert list(tiles_of_growth(300, 300)) == []
    assert list(bundles_of_growth(300, 300)) == []


@pytest.mark.parametrize(("old", "new"), [(5, 4), (-1, 4), (0, SIZE_MAX + 1), (-2, -1)])
def test_a_log_grows_in_one_direction_and_not_without_end(old: int, new: int) -> None:
    with pytest.raises(Malformed, match="a log grows"):
        list(tiles_of_growth(old, new))
    with pytest.raises(Malformed, match="a log grows"):
        list(bundles_of_growth(old, new))


def test_the_largest_log_has_an_edge() -> None:
    assert [tile.width for tile in edge_tiles(SIZE_MAX)] == [255] * 7 + [127]


def test_a_tile_past_the_end_of_a_tree_has_no_name() -> None:
    assert hash_tile(257, 0, 1) == HashTile(0, 1, 1)
    for size, level, index in ((256, 0, 1), (255, 1, 0), (0, 0, 0)):
        with pytest.raises(Malformed, match="has no tile"):
            hash_tile(size, level, index)


def test_a_bundle_is_entries_after_their_lengths() -> None:
    bundle = EntryBundle(1, 3)
    entries = (b"one", b"", b"x" * BUNDLED_ENTRY_BYTES_MAX)

    data = bundle.encode(entries)

    assert data == b"\x00\x03one" + b"\x00\x00" + b"\xff\xff" + entries[2]
    assert bundle.decode(data) == entries
    assert bundle.entries == range(256, 259)
    assert EntryBundle(0).decode(EntryBundle(0).encode([entries[2]] * 256)) == (entries[2],) * 256
    assert len(EntryBundle(0).encode([entries[2]] * 256)) == BUNDLE_BYTES_MAX


def test_a_bundle_that_does_not_hold_what_its_name_says_is_refused() -> None:
    bundle = EntryBundle(0, 2)
    data = bundle.encode([b"one", b"two"])

    for spoilt, match in (
        (data[:-1], "inside its entry 1"),
        (data[:6], "inside its entry 1"),
        (data[:5], "ends after 1"),
        (b"", "ends after 0"),
        (data + b"\x00", "goes on"),
        (data + b"\x00\x00", "goes on"),
    ):
        with pytest.raises(Malformed, match=match):
            bundle.decode(spoilt)
    with pytest.raises(Malformed, match="holds 2 entries, not 1"):
        bundle.encode([b"one"])
    with pytest.raises(Malformed, match=str(BUNDLED_ENTRY_BYTES_MAX)):
        bundle.encode([b"one", b"x" * (BUNDLED_ENTRY_BYTES_MAX + 1)])


def test_a_tile_has_the_length_that_its_name_promises() -> None:
    assert HashTile(0, 0, 2).check(b"\x00" * 64) == b"\x00" * 64
    for data in (b"", b"\x00" * 63, b"\x00" * 96):
        with pytest.raises(Malformed, match=r"tile/0/000\.p/2 must have 64 bytes"):
            HashTile(0, 0, 2).check(data)


def test_a_partial_tile_that_was_deleted_is_cut_out_of_the_full_one() -> None:
    full = bytes(range(256)) * 32

    assert HashTile(0, 0, 2).cut(full) == full[:64]
    assert HashTile(0, 0).cut(full) == full
    with pytest.raises(Malformed, match=r"tile/0/000\.p/2 must have 64 bytes"):
        HashTile(0, 0, 2).cut(full[:32])
