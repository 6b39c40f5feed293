"""Logging for every process: a fixed event name with facts as fields, one JSON object a line on standard
output, and nothing that people said, wrote or are called.

An error is its type and the places in the code that it passed through. Its text, the values of variables and
the arguments of callbacks can quote what people said, so none of them is written.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from domain.errors import first_of, told

log = structlog.get_logger()

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
        name_places,
        withhold_personal,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(_WordlessFormatter(foreign_pre_chain=shared, processors=_render(as_json, out)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for quiet in _QUIET_LOGGERS:
        logging.getLogger(quiet).setLevel(max(number, logging.WARNING))


def quiet_loop_errors(loop: asyncio.AbstractEventLoop) -> None:
    """Has the loop log what nobody awaited or caught as one fixed event, without the callback's arguments
    that asyncio would print."""
    loop.set_exception_handler(_log_loop_error)


def _log_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # The message quotes the callback with its arguments. What the error is about is told by the keys.
    about = sorted(context.keys() - {"message", "exception"})
    log.error("loop.error", about=about, exc_info=context.get("exception"))


def name_places(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replaces `exc_info` by the error's type, its code where it is one of ours, and the places in the code,
    outermost first; a field that the caller has set stays."""
    error = _error_of(event.pop("exc_info", None))
    if error is None:
        return event
    if event.get("_from_structlog") is False and (words := str(first_of(error))):
        # Libraries like to repeat the error's text in their message; our events are fixed.
        event["event"] = event["event"].replace(words, WITHHELD)
    return {**told(error), **event}


def _error_of(exc_info: object) -> BaseException | None:
    """Of every form that the two libraries take: an error, a triple, or true for the current one."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exception() if exc_info else None


def withhold_personal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replaces the values of WITHHELD_FIELDS, at any depth, and errors by their types, so that a careless
    call cannot leak a word."""
    return {field: _safe(field, value, FIELD_DEPTH_MAX) for field, value in event.items()}


def _safe(field: str, value: object, depth: int) -> object:
    if field.lower() in WITHHELD_FIELDS:
        return WITHHELD
    value = _wordless(value)
    if isinstance(value, Mapping):
        if depth == 0:
            return WITHHELD
        return {key: _safe(str(key), inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)) and depth > 0:
        return [_safe("", inner, depth - 1) for inner in value]
    return value


class _WordlessFormatter(structlog.stdlib.ProcessorFormatter):
    """Puts types in the place of errors that a library's message is made of."""

    def format(self, record: logging.LogRecord) -> str:
        # A copy, since the record belongs to every handler.
        record = logging.makeLogRecord(record.__dict__)
        record.msg = _wordless(record.msg)
        if isinstance(record.args, Mapping):
            record.args = {key: _wordless(value) for key, value in record.args.items()}
        elif record.args:
            record.args = tuple(_wordless(value) for value in record.args)
        return super().format(record)


def _wordless(value: object) -> object:
    return type(value).__name__ if isinstance(value, BaseException) else value


def _render(as_json: bool, out: TextIO) -> list[Processor]:
    head: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        return [*head, structlog.processors.JSONRenderer()]
    return [*head, structlog.dev.ConsoleRenderer(colors=out.isatty())]
