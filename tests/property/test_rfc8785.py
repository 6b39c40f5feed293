"""What the log hashes is what a library for RFC 8785, by somebody else, writes."""

from __future__ import annotations

import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.audit.entry import header_bytes
from domain.events.canonical import INTEGER_MAX, Json
from tests.unit.audit.logs import header

characters = st.characters(exclude_categories=["Cs"])
# The library refuses 2^53 itself, which has an exact number too.
integers = st.integers(1 - INTEGER_MAX, INTEGER_MAX - 1)
plain = st.none() | st.booleans() | integers | st.text(characters)
headers = st.dictionaries(
    st.text(st.characters(max_codepoint=127)),
    plain | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=6), plain, max_size=4),
    max_size=16,
)
anything: st.SearchStrategy[Json] = st.recursive(
    plain | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(characters), inner, max_size=3),
    max_leaves=4,
)


def test_a_real_header_is_spelled_as_the_library_spells_it() -> None:
    assert header_bytes(header(17)) == rfc8785.dumps(header(17))


@given(headers)
@settings(max_examples=500, deadline=None)
def test_the_fast_spelling_of_a_header_is_the_librarys(value: dict[str, Json]) -> None:
    assert header_bytes(value) == rfc8785.dumps(value)


@given(st.dictionaries(st.text(characters, max_size=4), anything, max_size=5))
@settings(max_examples=500, deadline=None)
def test_the_general_spelling_is_the_librarys(value: dict[str, Json]) -> None:
    assert header_bytes(value) == rfc8785.dumps(value)
