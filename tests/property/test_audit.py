"""Whatever the log's size, a proof verifies; whatever is changed in it, it does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.audit.checkpoint import (
    Checkpoint,
    Origin,
    parse_signed_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from domain.audit.entry import header_bytes
from domain.audit.errors import AuditError, Malformed
from domain.audit.growth import Edge
from domain.audit.lexical import SIZE_MAX
from domain.audit.merkle import Frontier, verify_consistency, verify_inclusion
from domain.audit.note import Note, parse_note
from domain.audit.proof import LogProof, parse_proof, verify_proof
from domain.audit.tiles import TILE_INDEX_MAX, TILE_WIDTH, EntryBundle, HashTile, edge_tiles, parse_tile_path
from domain.audit.tree import TiledTree
from domain.audit.witnessing import Accepted, Seen, WitnessRequest, decide, parse_request
from domain.events.canonical import INTEGER_MAX, Json, NotCanonical, canonical_bytes
from tests.unit.audit.logs import LOG, NOON_S, TRUSTED, WITNESSES, leaves, signed

LARGEST = 70_000


@cache
def largest() -> tuple[list[bytes], Mapping[HashTile, bytes]]:
    hashes = leaves(LARGEST)
    return hashes, Edge().grown(hashes).tiles


@cache
def grown(size: int) -> TiledTree:
    _, tiles = largest()
    last = {tile.level: tile for tile in edge_tiles(LARGEST)}

    def read(tile: HashTile) -> bytes:
        # The files are those of the largest log: a smaller one's partial tiles are cut out of them.
        return tile.cut(tiles.get(replace(tile, width=TILE_WIDTH)) or tiles[last[tile.level]])

    return TiledTree(size, read)


@given(size=st.integers(1, LARGEST), data=st.data())
@settings(max_examples=60, deadline=None)
def test_proofs_of_a_log_of_any_size_verify(size: int, data: st.DataObject) -> None:
    hashes, _ = largest()
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    root, old_root = (Frontier().extended(hashes[:each]).root() for each in (size, old))
    tiled = grown(size)

    assert tiled.root() == root
    verify_inclusion(hashes[index], index=index, size=size, proof=tiled.inclusion(index), root=root)
    verify_consistency(old_size=old, old_root=old_root, size=size, root=root, proof=tiled.consistency(old))


@given(st.lists(st.integers(0, 700), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_any_way_of_cutting_the_growth_gives_the_same_edge(steps: list[int]) -> None:
    hashes, edge, frontier = leaves(sum(steps)), Edge(), Frontier()

    for step in steps:
        batch = hashes[edge.size : edge.size + step]
        edge, frontier = edge.grown(batch).edge, frontier.extended(batch)

    assert edge == Edge().grown(hashes).edge
    assert edge.frontier() == frontier == Frontier().extended(hashes)


characters = st.characters(exclude_categories=["Cs"])
plain = st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | st.text(characters)
headers = st.dictionaries(
    st.text(st.characters(max_codepoint=127)),
    plain | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=6), plain, max_size=4),
    max_size=16,
)
awkward: st.SearchStrategy[Json] = st.recursive(
    plain | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(characters), inner, max_size=3),
    max_leaves=6,
)


@given(headers)
@settings(max_examples=500, deadline=None)
def test_the_fast_spelling_of_a_header_is_rfc_8785(header: dict[str, Json]) -> None:
    # ASCII keys, with values that are texts, whole numbers, booleans, nothing, or objects of such.
    fast = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    assert header_bytes(header) == fast == canonical_bytes(header)


@given(st.dictionaries(st.text(characters, max_size=4), awkward, max_size=5))
@settings(max_examples=300, deadline=None)
def test_a_header_of_any_json_has_the_bytes_of_rfc_8785_or_none(header: dict[str, Json]) -> None:
    try:
        spelled = header_bytes(header)
    except NotCanonical:
        return
    assert spelled == canonical_bytes(header)


@given(st.integers(0, 62), st.integers(0, TILE_INDEX_MAX), st.integers(1, 256))
def test_every_file_is_found_again_by_its_name(level: int, index: int, width: int) -> None:
    for name in (HashTile(level, index, width), EntryBundle(index, width)):
        assert parse_tile_path(name.path) == name


@given(st.lists(st.binary(max_size=80), min_size=1, max_size=256), st.binary(min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_a_bundle_gives_its_entries_back_and_nothing_hides_behind_them(
    entries: list[bytes], more: bytes
) -> None:
    bundle = EntryBundle(0, len(entries))
    data = bundle.encode(entries)

    assert bundle.decode(data) == tuple(entries)
    for spoilt in (data + more, data[: -len(more)]):
        try:
            bundle.decode(spoilt)
        except Malformed:
            continue
        raise AssertionError("a bundle that is too long or too short was read")


def spoilt(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with a bit, a line or a stretch of them changed."""
    at = draw(st.integers(0, len(data) - 1))
    lines = data.split(b"\n")
    nth, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
    match draw(st.sampled_from(["bit", "drop", "double", "swap", "cut", "insert"])):
        case "bit":
            return data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
        case "drop":
            return b"\n".join(lines[:nth] + lines[nth + 1 :])
        case "double":
            return b"\n".join(lines[: nth + 1] + lines[nth:])
        case "swap":
            lines[nth], lines[other] = lines[other], lines[nth]
            return b"\n".join(lines)
        case "cut":
            return data[:at] + data[at + draw(st.integers(1, 40)) :]
        case _:
            return data[:at] + draw(st.binary(min_size=1, max_size=3)) + data[at:]


GOOD_PROOF = LogProof(123, grown(300).inclusion(123), signed(300)).encode()


@st.composite
def spoilt_proofs(draw: st.DrawFn) -> bytes:
    return spoilt(draw, GOOD_PROOF)


@given(spoilt_proofs())
@settings(max_examples=1000, deadline=None)
def test_no_changed_proof_is_accepted(data: bytes) -> None:
    if data == GOOD_PROOF:
        return
    try:
        verify_proof(parse_proof(data), leaves(300)[123], TRUSTED)
    except AuditError:
        return
    raise AssertionError("a changed proof was accepted")


COSIGNED = signed(300).cosigned([each.cosign(signed(300).note.text, at_s=NOON_S) for each in WITNESSES])


@st.composite
def spoilt_checkpoints(draw: st.DrawFn) -> bytes:
    return spoilt(draw, COSIGNED.encode())


@given(spoilt_checkpoints())
@settings(max_examples=500, deadline=None)
def test_a_changed_checkpoint_says_what_was_signed_or_is_refused(data: bytes) -> None:
    # A witness's line may be lost or become a stranger's: what the log signed may not change.
    try:
        verified = verify_checkpoint(parse_signed_checkpoint(data), TRUSTED)
    except AuditError:
        return
    assert verified.checkpoint == COSIGNED.checkpoint


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
@settings(max_examples=500, deadline=None)
def test_strange_bytes_are_refused_or_read_back_the_same(data: bytes) -> None:
    for parse in (parse_note, parse_signed_checkpoint, parse_proof, parse_request):
        try:
            parsed = parse(data)
        except AuditError:
            continue
        assert parsed.encode() == data


@given(st.binary(max_size=300) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")))
@settings(max_examples=300, deadline=None)
def test_a_note_of_strange_text_is_refused_or_read_back_the_same(data: bytes) -> None:
    whole = data + b"\n\n" + LOG.sign("x\n").line().encode()
    try:
        note = parse_note(whole)
    except Malformed:
        return
    assert note.encode() == whole


@given(
    st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=60),
    st.integers(1, SIZE_MAX),
    st.binary(min_size=32, max_size=32),
)
@settings(max_examples=200, deadline=None)
def test_every_checkpoint_is_read_back(origin: str, size: int, root: bytes) -> None:
    checkpoint = Checkpoint(Origin(origin), size, root)

    read = parse_signed_checkpoint(sign_checkpoint(checkpoint, LOG).encode())

    assert read.checkpoint == checkpoint
    assert isinstance(read.note, Note)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=6), st.data())
@settings(max_examples=80, deadline=None)
def test_what_a_witness_accepts_only_ever_grows_and_never_forks(
    sizes: list[int], data: st.DataObject
) -> None:
    last = Seen()
    for size in sizes:
        old = data.draw(st.sampled_from([0, last.size, size]))
        proof = grown(size).consistency(old) if 0 < old <= size else ()
        decision = decide(WitnessRequest(old, proof, signed(size)), TRUSTED, last)
        assert isinstance(decision, Accepted) is (old == last.size <= size)
        if isinstance(decision, Accepted):
            last = decision.seen
        assert last.root == Frontier().extended(leaves(last.size)).root()
