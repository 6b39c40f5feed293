"""What is told of an error: where it happened and of what kind it is, and nothing that it quotes."""

from __future__ import annotations

from domain.errors import PLACES_TOLD_MAX, NotFound, first_of, told

WORDS = "Ada Lovelace, 12 Main Street"


def _choke(heard: str, depth: int) -> None:
    if depth == 0:
        raise ValueError(f"no entry for {heard}")
    _choke(heard, depth - 1)


def _caught(depth: int) -> ValueError:
    try:
        _choke(WORDS, depth)
    except ValueError as error:
        return error
    raise AssertionError("it fails")


def test_an_error_is_told_by_its_kind_and_its_innermost_places() -> None:
    facts = told(_caught(2 * PLACES_TOLD_MAX))

    where = facts["where"]
    assert facts["error"] == "ValueError"
    assert isinstance(where, list)
    assert len(where) == PLACES_TOLD_MAX
    assert where[-1].endswith(f"test_errors.py:{_choke.__code__.co_firstlineno + 2}")
    assert "Ada" not in str(facts)


def test_an_error_of_ours_is_also_told_by_its_code() -> None:
    assert told(NotFound(WORDS)) == {"error": "NotFound", "code": "not_found", "where": []}


def test_a_group_is_told_by_its_first_member_however_deep() -> None:
    first = _caught(0)
    group = ExceptionGroup(WORDS, [ExceptionGroup(WORDS, [first, KeyError(WORDS)]), KeyError(WORDS)])

    assert first_of(group) is first
    assert told(group) == told(first)
    assert first_of(first) is first
