"""Logging for every process: a fixed event name with facts as fields, one JSON object a line on standard
output, and nothing that people said, wrote or are called."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Fields that hold, or could hold, words, names, addresses or secrets. Their ids may be logged instead.
WITHHELD_FIELDS = frozenset(
    {
        "answer",
        "api_key",
        "authorization",
        "body",
        "candidate",
        "content",
        "conversational_context",
        "custom_greeting",
        "email",
        "greeting",
        "join_token",
        "name",
        "payload",
        "played_text",
        "prompt",
        "question",
        "resume_credential",
        "sdp",
        "secret",
        "system_prompt",
        "text",
        "transcript",
        "words",
    }
)
WITHHELD = "[withheld]"
# Deeper structures than this have no place in a log line; they are withheld whole.
FIELD_DEPTH_MAX = 4

# Libraries that tell each packet or each request at level info.
_QUIET_LOGGERS = ("aioice", "aiortc", "httpx", "httpcore", "uvicorn.access", "temporalio.activity")


def configure_logs(level: str, *, as_json: bool, stream: TextIO | None = None) -> None:
    """Sets up structlog and the standard library's logging for this process; a second call replaces the
    first. `level` is a standard level name. Raises ValueError for a name that is none."""
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"{level!r} is none of the log levels debug, info, warning, error")
    out = stream or sys.stdout
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        withhold_personal,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_render(as_json, out))
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for quiet in _QUIET_LOGGERS:
        logging.getLogger(quiet).setLevel(max(number, logging.WARNING))


def withhold_personal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replaces the values of WITHHELD_FIELDS, at any depth, so that a careless call cannot leak a word."""
    return {field: _safe(field, value, FIELD_DEPTH_MAX) for field, value in event.items()}


def _safe(field: str, value: object, depth: int) -> object:
    if field.lower() in WITHHELD_FIELDS:
        return WITHHELD
    if isinstance(value, Mapping):
        if depth == 0:
            return WITHHELD
        return {key: _safe(str(key), inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)) and depth > 0:
        return [_safe("", inner, depth - 1) for inner in value]
    return value


def _render(as_json: bool, out: TextIO) -> list[Processor]:
    head: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        return [*head, structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    return [*head, structlog.dev.ConsoleRenderer(colors=out.isatty())]
