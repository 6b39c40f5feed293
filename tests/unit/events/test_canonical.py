"""Canonical bytes against the examples of RFC 8785 and against what any JSON reader reads back."""

from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events.canonical import INTEGER_MAX, Json, NotCanonical, canonical_bytes, digest

# RFC 8785, appendix B: the bits of a double, and its one spelling.
NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]

json_values: st.SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-INTEGER_MAX, INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(("bits", "spelling"), NUMBERS)
def test_numbers_are_spelled_as_ecmascript_spells_them(bits: str, spelling: str) -> None:
    [value] = struct.unpack(">d", bytes.fromhex(bits))

    assert canonical_bytes(value).decode() == spelling


def test_the_example_of_the_rfc() -> None:
    value = json.loads(
        r"""{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
             "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
             "literals": [null, true, false]}"""
    )

    assert canonical_bytes(value).decode() == (
        r'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        r'"string":"€$\u000f\nA' + "'" + r'B\"\\\\\"/"}'
    )


def test_keys_are_sorted_by_utf_16_code_units() -> None:
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\u00f6"]

    written = json.loads(canonical_bytes(dict.fromkeys(keys)), object_pairs_hook=lambda pairs: pairs)

    # By code points the emoji would come last.
    assert [key for key, _ in written] == ["\r", "1", "\x80", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@given(json_values)
def test_any_json_reader_reads_back_what_was_written(value: Json) -> None:
    # As in ECMAScript, a number is a double, however it is spelled.
    assert json.loads(canonical_bytes(value), parse_int=float) == value


@given(
    st.lists(st.text("abc\u20ac\U0001f600", max_size=3), unique=True).flatmap(
        lambda keys: st.tuples(st.just(keys), st.permutations(keys))
    )
)
def test_the_order_of_keys_in_memory_does_not_show(orders: tuple[list[str], list[str]]) -> None:
    one, other = orders

    assert digest(dict.fromkeys(one)) == digest(dict.fromkeys(other))


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        INTEGER_MAX + 1,
        -INTEGER_MAX - 1,
        "\ud800",
        {"\udfff": 1},
        b"bytes",
        {1},
    ],
    ids=repr,
)
def test_what_json_cannot_say_exactly_is_refused(value: Json) -> None:
    with pytest.raises(NotCanonical):
        canonical_bytes(value)


def test_a_digest_is_of_the_canonical_bytes() -> None:
    # printf '{"a":1}' | sha256sum
    assert digest({"a": 1.0}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
