"""Log lines are JSON with facts, and hold nothing that people said, wrote or are called."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from ops.logs import FIELD_DEPTH_MAX, WITHHELD, WITHHELD_FIELDS, configure_logs


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
