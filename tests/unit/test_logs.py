"""Log lines are JSON with facts, and hold nothing that people said, wrote or are called."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from domain.errors import PLACES_TOLD_MAX, NotFound
from ops.logs import (
    FIELD_DEPTH_MAX,
    WITHHELD,
    WITHHELD_FIELDS,
    configure_logs,
    quiet_loop_errors,
)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def _last(lines: io.StringIO) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(lines.getvalue().splitlines()[-1])
    return line


def test_a_line_names_its_event_and_carries_facts(lines: io.StringIO) -> None:
    configure_logs("info", as_json=True, stream=lines)

    structlog.get_logger("vivavoce.test").info("turn.completed", turn_id="t1", latency_ms=840)

    line = _last(lines)
    assert (line["event"], line["turn_id"], line["latency_ms"]) == ("turn.completed", "t1", 840)
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("field", sorted(WITHHELD_FIELDS))
def test_a_field_that_may_hold_words_is_withheld(lines: io.StringIO, field: str) -> None:
    configure_logs("info", as_json=True, stream=lines)

    structlog.get_logger().info("a.fact", **{field: "Grace Hopper"})

    assert _last(lines)[field] == WITHHELD
    assert "Grace" not in lines.getvalue()


def test_words_are_withheld_inside_structures(lines: io.StringIO) -> None:
    configure_logs("info", as_json=True, stream=lines)
    deep: dict[str, Any] = {"fact": "Grace Hopper"}
    for _ in range(FIELD_DEPTH_MAX + 1):
        deep = {"inner": deep}

    structlog.get_logger().info("a.fact", facts=[{"Text": "Grace Hopper", "count": 2}], deep=deep)

    assert _last(lines)["facts"] == [{"Text": WITHHELD, "count": 2}]
    assert "Grace" not in lines.getvalue()


def test_the_standard_librarys_loggers_write_the_same_lines(lines: io.StringIO) -> None:
    configure_logs("info", as_json=True, stream=lines)

    logging.getLogger("some.library").warning("it went wrong", extra={"text": "Grace Hopper"})

    line = _last(lines)
    assert (line["event"], line["logger"], line["level"]) == ("it went wrong", "some.library", "warning")
    assert "Grace" not in lines.getvalue()


def test_below_the_level_nothing_is_written(lines: io.StringIO) -> None:
    configure_logs("warning", as_json=True, stream=lines)

    structlog.get_logger().info("a.fact")

    assert lines.getvalue() == ""


def test_for_a_person_the_lines_are_readable(lines: io.StringIO) -> None:
    configure_logs("info", as_json=False, stream=lines)

    structlog.get_logger().info("turn.completed", latency_ms=840)

    assert "turn.completed" in lines.getvalue()
    assert "latency_ms=840" in lines.getvalue()


def test_a_level_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="debug, info, warning, error"):
        configure_logs("loud", as_json=True)


WORDS = "Grace Hopper"
FORMS = pytest.mark.parametrize("as_json", [True, False], ids=["json", "console"])


def _choke(heard: str) -> None:
    """Fails with what it was given in a local variable and in the error's text."""
    repeated = heard.upper()
    raise KeyError(f"no entry for {heard}, nor for {repeated}")


def _chain(heard: str, depth: int) -> None:
    if depth == 0:
        _choke(heard)
    _chain(heard, depth - 1)


def _assert_told_without_words(lines: io.StringIO) -> None:
    written = lines.getvalue()
    assert "KeyError" in written
    assert "test_logs.py:" in written
    assert "grace" not in written.lower()
    assert "hopper" not in written.lower()


@FORMS
def test_an_error_is_its_type_and_places(lines: io.StringIO, as_json: bool) -> None:
    configure_logs("info", as_json=as_json, stream=lines)

    try:
        _choke(WORDS)
    except KeyError:
        structlog.get_logger().exception("turn.failed", turn_id="t1")

    _assert_told_without_words(lines)
    assert "t1" in lines.getvalue()


@FORMS
def test_a_librarys_error_is_its_type_and_places(lines: io.StringIO, as_json: bool) -> None:
    configure_logs("info", as_json=as_json, stream=lines)
    library = logging.getLogger("some.library")

    try:
        _choke(WORDS)
    except KeyError as error:
        library.exception("it went wrong")
        library.error("it went wrong", exc_info=error)
        library.exception("it went wrong: %s", error)
        library.exception("it went wrong: %(error)r", {"error": error})
        library.exception(f"it went wrong: {error}")
        library.error(error)
        library.error("it went wrong: %s", error)

    _assert_told_without_words(lines)
    assert lines.getvalue().count("test_logs.py:") >= 5


@FORMS
def test_an_error_as_a_fact_is_its_type(lines: io.StringIO, as_json: bool) -> None:
    configure_logs("info", as_json=as_json, stream=lines)

    structlog.get_logger().warning("turn.failed", cause=ValueError(WORDS), causes=[OSError(WORDS)])

    assert "ValueError" in lines.getvalue()
    assert "OSError" in lines.getvalue()
    assert "Grace" not in lines.getvalue()


@FORMS
def test_what_a_callback_was_given_is_not_logged(lines: io.StringIO, as_json: bool) -> None:
    # Given a loop that tells its errors in our way
    configure_logs("info", as_json=as_json, stream=lines)

    async def fails_twice() -> None:
        loop = asyncio.get_running_loop()
        quiet_loop_errors(loop)
        # When a callback fails, and then a task whose error nobody asks for
        loop.call_soon(_choke, WORDS)
        forgotten = loop.create_task(asyncio.to_thread(_choke, WORDS), name=WORDS)
        await asyncio.wait({forgotten})
        del forgotten

    asyncio.run(fails_twice())

    # Then both are told by type and place
    assert lines.getvalue().count("loop.error") == 2
    assert lines.getvalue().count("KeyError") == 2
    _assert_told_without_words(lines)


def test_an_error_of_the_loop_without_an_exception_says_what_it_is_about(lines: io.StringIO) -> None:
    configure_logs("info", as_json=True, stream=lines)
    loop = asyncio.new_event_loop()
    quiet_loop_errors(loop)

    loop.call_exception_handler({"message": f"the transport to {WORDS} was lost", "transport": WORDS})
    loop.close()

    line = _last(lines)
    assert (line["event"], line["about"]) == ("loop.error", ["transport"])
    assert "Grace" not in lines.getvalue()


def test_an_error_of_ours_also_tells_its_code(lines: io.StringIO) -> None:
    configure_logs("info", as_json=True, stream=lines)

    structlog.get_logger().error("turn.failed", exc_info=NotFound(WORDS))

    line = _last(lines)
    assert (line["error"], line["code"], line["where"]) == ("NotFound", "not_found", [])
    assert "Grace" not in lines.getvalue()


def test_of_a_group_the_first_error_is_told(lines: io.StringIO) -> None:
    configure_logs("info", as_json=True, stream=lines)
    inner = ExceptionGroup("inner", [KeyError(WORDS), ValueError(WORDS)])

    structlog.get_logger().error("turn.failed", exc_info=ExceptionGroup(WORDS, [inner]))

    assert _last(lines)["error"] == "KeyError"
    assert "Grace" not in lines.getvalue()


def test_the_innermost_places_are_told(lines: io.StringIO) -> None:
    configure_logs("info", as_json=True, stream=lines)

    try:
        _chain(WORDS, 2 * PLACES_TOLD_MAX)
    except KeyError:
        structlog.get_logger().exception("turn.failed")

    where = _last(lines)["where"]
    assert len(where) == PLACES_TOLD_MAX
    assert where[-1].endswith(f":{_choke.__code__.co_firstlineno + 3}")


def test_what_the_caller_says_of_an_error_stays(lines: io.StringIO) -> None:
    configure_logs("info", as_json=True, stream=lines)

    structlog.get_logger().error("turn.failed", error="Stalled", exc_info=KeyError(WORDS))
    structlog.get_logger().error("turn.failed", exc_info=False)

    first, second = (json.loads(line) for line in lines.getvalue().splitlines())
    assert first["error"] == "Stalled"
    assert second.keys() == {"event", "level", "logger", "timestamp"}
