"""C2SP tlog-tiles: the names of a log's files, which of them a growth writes, and bundles of entries.

A tile at level L holds 256 hashes of perfect subtrees of 256^L leaves; the rightmost one of a level is
partial and has its width in its name, so that a file once written never changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from domain.audit.errors import Malformed
from domain.audit.lexical import HASH_BYTES, SIZE_MAX

TILE_WIDTH = 256
TILE_HEIGHT = 8
TILE_BYTES = TILE_WIDTH * HASH_BYTES
LEVEL_MAX = 63
TILE_INDEX_MAX = SIZE_MAX // TILE_WIDTH
# The length of an entry stands in two bytes before it.
BUNDLED_ENTRY_BYTES_MAX = 2**16 - 1
BUNDLE_BYTES_MAX = TILE_WIDTH * (2 + BUNDLED_ENTRY_BYTES_MAX)
# The longest name there is, an entry bundle's at the highest index, has 43.
TILE_PATH_CHARS_MAX = 64

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True, order=True)
class HashTile:
    """The name of one tile: `width` hashes from `index` × 256 on, of those of its level."""

    level: int
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if not 0 <= self.level <= LEVEL_MAX:
            raise Malformed(f"a tile's level is from 0 to {LEVEL_MAX}")
        _need_place(self.index, self.width)

    @property
    def path(self) -> str:
        return f"tile/{self.level}/{_spelled(self.index, self.width)}"

    @property
    def bytes_expected(self) -> int:
        return self.width * HASH_BYTES

    def check(self, data: bytes) -> bytes:
        """The data, if it has the length that the name promises."""
        if len(data) != self.bytes_expected:
            raise Malformed(f"{self.path} must have {self.bytes_expected} bytes, not {len(data)}")
        return data

    def cut(self, wider: bytes) -> bytes:
        """Its hashes out of the same tile when it had become wider: a log may delete a partial tile once the
        full one is there."""
        return self.check(wider[: self.bytes_expected])


@dataclass(frozen=True, slots=True, order=True)
class EntryBundle:
    """The name of one file of entries: those from `index` × 256 on."""

    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        _need_place(self.index, self.width)

    @property
    def path(self) -> str:
        return f"tile/entries/{_spelled(self.index, self.width)}"

    @property
    def entries(self) -> range:
        """The indices in the log of its entries."""
        first = self.index * TILE_WIDTH
        return range(first, first + self.width)

    def encode(self, entries: Sequence[bytes]) -> bytes:
        """Each entry after its length as 16-bit big-endian."""
        if len(entries) != self.width:
            raise Malformed(f"{self.path} holds {self.width} entries, not {len(entries)}")
        if any(len(entry) > BUNDLED_ENTRY_BYTES_MAX for entry in entries):
            raise Malformed(f"an entry of a bundle has at most {BUNDLED_ENTRY_BYTES_MAX} bytes")
        return b"".join([len(entry).to_bytes(2, "big") + entry for entry in entries])

    def decode(self, data: bytes) -> tuple[bytes, ...]:
        """The entries, exactly as many as the name promises and nothing after them."""
        entries: list[bytes] = []
        at = 0
        while at < len(data) and len(entries) < self.width:
            length = int.from_bytes(data[at : at + 2], "big")
            start, at = at + 2, at + 2 + length
            if at > len(data):
                raise Malformed(f"{self.path} ends inside its entry {len(entries)}")
            entries.append(data[start:at])
        if len(entries) != self.width:
            raise Malformed(f"{self.path} must hold {self.width} entries, and ends after {len(entries)}")
        if at != len(data):
            raise Malformed(f"{self.path} goes on after its {self.width} entries")
        return tuple(entries)


TileName: TypeAlias = HashTile | EntryBundle


def parse_tile_path(path: str) -> TileName:
    """The name that a path spells; each has one spelling, without further zeros or dots."""
    match = _PATH.fullmatch(path) if len(path) <= TILE_PATH_CHARS_MAX else None
    if match is None:
        raise Malformed(
            "a tile's path is tile/<level or entries>/<index in groups of three digits>[.p/<width>]"
        )
    index = int(match["index"].replace("/x", "").replace("x", "").replace("/", ""))
    width = TILE_WIDTH if match["width"] is None else int(match["width"])
    if match["level"] == "entries":
        tile: TileName = EntryBundle(index, width)
    else:
        tile = HashTile(int(match["level"]), index, width)
    if tile.path != path:
        raise Malformed("a tile's path is spelled without superfluous zeros, a full tile's without a width")
    return tile


def level_size(size: int, level: int) -> int:
    """How many hashes a level holds in a tree of `size` leaves."""
    return size >> (TILE_HEIGHT * level)


def levels(size: int) -> int:
    """How many levels of tiles have a hash."""
    return (size.bit_length() + TILE_HEIGHT - 1) // TILE_HEIGHT


def hash_tile(size: int, level: int, index: int) -> HashTile:
    """The tile at this place, full or partial, in a tree of `size` leaves."""
    width = min(TILE_WIDTH, level_size(size, level) - index * TILE_WIDTH)
    if width <= 0:
        raise Malformed(f"a tree of {size} leaves has no tile {index} at level {level}")
    return HashTile(level, index, width)


def edge_tiles(size: int) -> tuple[HashTile, ...]:
    """The partial tiles of a tree of `size` leaves, lowest level first: what it takes to go on from there."""
    counts = ((level, level_size(size, level)) for level in range(levels(size)))
    return tuple(
        HashTile(level, count // TILE_WIDTH, count % TILE_WIDTH)
        for level, count in counts
        if count % TILE_WIDTH
    )


def tiles_of_growth(old: int, new: int) -> Iterator[HashTile]:
    """What a growth from `old` to `new` leaves writes, lowest level first: every tile that it fills, and the
    partial ones of the new size that the old size did not have. From 0: every tile of a log."""
    _need_growth(old, new)
    for level in range(levels(new)):
        for index, width in _grown(level_size(old, level), level_size(new, level)):
            yield HashTile(level, index, width)


def bundles_of_growth(old: int, new: int) -> Iterator[EntryBundle]:
    """The bundles of entries that a growth from `old` to `new` leaves writes."""
    _need_growth(old, new)
    for index, width in _grown(old, new):
        yield EntryBundle(index, width)


def _grown(old: int, new: int) -> Iterator[tuple[int, int]]:
    """Index and width of each file of a row that grows from `old` to `new` items."""
    for index in range(old // TILE_WIDTH, new // TILE_WIDTH):
        yield index, TILE_WIDTH
    if new > old and new % TILE_WIDTH:
        yield new // TILE_WIDTH, new % TILE_WIDTH


def _spelled(index: int, width: int) -> str:
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return name if width == TILE_WIDTH else f"{name}.p/{width}"


def _need_place(index: int, width: int) -> None:
    if not 0 <= index <= TILE_INDEX_MAX:
        raise Malformed(f"a tile's index is from 0 to {TILE_INDEX_MAX}")
    if not 1 <= width <= TILE_WIDTH:
        raise Malformed(f"a tile's width is from 1 to {TILE_WIDTH}")


def _need_growth(old: int, new: int) -> None:
    if not 0 <= old <= new <= SIZE_MAX:
        raise Malformed(
            f"a log grows from its old size to a larger one, up to {SIZE_MAX}; not {old} to {new}"
        )
