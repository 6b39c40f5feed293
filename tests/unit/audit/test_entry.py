"""The entry of an event: what it commits to, byte by byte."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from domain.audit.entry import (
    ENTRY_BYTES,
    HEADER_DEPTH_MAX,
    VERSION_MAX,
    entry_bytes,
    entry_halves,
    header_bytes,
    header_digest,
    identity_digest,
)
from domain.audit.errors import Malformed
from domain.audit.merkle import leaf_hash
from domain.events.canonical import INTEGER_MAX, Json, NotCanonical, canonical_bytes
from domain.ids import StreamId
from tests.unit.audit.logs import STREAM, header


def test_an_entry_is_the_digest_of_the_place_and_that_of_the_header() -> None:
    # Given a header as any program would write it that knows RFC 8785
    text = '{"a":1,"type":"sentence.committed"}'

    entry = entry_bytes(StreamId("conversation-1"), 258, {"type": "sentence.committed", "a": 1})

    place = sha256(b"conversation-1" + bytes([0, 0, 0, 0, 0, 0, 1, 2])).digest()
    assert entry == place + sha256(text.encode()).digest()
    assert leaf_hash(entry) == sha256(b"\x00" + entry).digest()


def test_a_real_header_has_the_general_encoders_bytes() -> None:
    assert header_bytes(header(17)) == canonical_bytes(header(17))


def test_the_halves_of_an_entry_are_found_again() -> None:
    entry = entry_bytes(STREAM, 3, header(3))

    assert entry_halves(entry) == (identity_digest(STREAM, 3), header_digest(header(3)))
    for other in (entry[:-1], entry + b"\x00", b""):
        with pytest.raises(Malformed, match=str(ENTRY_BYTES)):
            entry_halves(other)


def test_no_two_places_share_a_digest_however_their_bytes_run_together() -> None:
    # A stream id that ends in what could be a version is not the shorter id at another version.
    assert identity_digest(StreamId("a\x00"), 1) != identity_digest(StreamId("a"), 1)
    assert identity_digest(STREAM, 1) != identity_digest(STREAM, 2)


@pytest.mark.parametrize("version", [0, -1, VERSION_MAX + 1, 2**64, 10**400])
def test_a_version_that_no_event_can_have_is_refused(version: int) -> None:
    assert len(identity_digest(STREAM, VERSION_MAX)) == 32
    with pytest.raises(Malformed, match="a version is from 1"):
        identity_digest(STREAM, version)


@pytest.mark.parametrize(
    "value",
    [
        1.0,  # Python writes 1.0, RFC 8785 writes 1.
        1e21,
        -0.0,
        True,
        None,
        [1, {"b": 2, "a": "é"}],
        {"ä": 1, "a": {"\ue000": 1, "\U0001f600": 2}},  # UTF-16 order is not that of code points.
        'line\n"tab\t\\\x00\x1f\x7f/\u2028',
        INTEGER_MAX,
        -INTEGER_MAX,
    ],
)
def test_whatever_a_header_holds_has_one_spelling(value: Json) -> None:
    assert header_bytes({"z": value, "a": 1}) == canonical_bytes({"z": value, "a": 1})


@pytest.mark.parametrize(
    "value", [INTEGER_MAX + 1, -(10**30), float("nan"), float("inf"), "\ud800", {"\udfff": 1}]
)
def test_a_header_without_a_canonical_form_is_refused(value: Json) -> None:
    with pytest.raises(NotCanonical):
        header_bytes({"value": value})


def test_a_header_that_nests_without_end_is_refused_before_the_stack_ends() -> None:
    def nested(depth: int, innermost: str) -> dict[str, Json]:
        # As deep as given, the header itself counted.
        value: dict[str, Json] = json.loads('{"a":' * (depth - 1) + innermost + "}" * (depth - 1))
        return value

    deep = nested(HEADER_DEPTH_MAX, '{"a":1}')
    assert header_bytes(deep) == canonical_bytes(deep)
    with_list = nested(HEADER_DEPTH_MAX, "[1]")
    assert header_bytes(with_list) == canonical_bytes(with_list)
    for innermost in ('{"a":{}}', "[[1]]", "[" * 900 + "]" * 900):
        with pytest.raises(NotCanonical, match="levels deep"):
            header_bytes(nested(HEADER_DEPTH_MAX, innermost))
