"""The edge between our errors and Temporal's: what fails in an activity leaves it as a code.

A workflow's history is kept, and what was said must never get there; not even inside an error's text.
"""

from __future__ import annotations

import traceback
from typing import Any

import structlog
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.errors import InvalidInput, NotFound, RuleBroken, VivavoceError

log = structlog.get_logger()

UNEXPECTED = "unexpected"
# Frames that a log line names; the innermost say most.
FRAMES_LOGGED_MAX = 12


def failure_of(error: BaseException) -> ApplicationError:
    """A broken rule or a bad input is not tried again; a dependency that failed is."""
    if isinstance(error, BaseExceptionGroup):
        # What a task group collects is told by its first member; the others were cancelled because of it.
        return failure_of(error.exceptions[0])
    if isinstance(error, ApplicationError):
        return error
    if isinstance(error, VivavoceError):
        final = isinstance(error, RuleBroken | InvalidInput | NotFound)
        return ApplicationError(error.code, type=error.code, non_retryable=final)
    return ApplicationError(UNEXPECTED, type=UNEXPECTED)


class CodesOnly(Interceptor):
    """For every worker: replaces errors by codes before Temporal sees them."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _CodesOnly(next)


class _CodesOnly(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        try:
            return await super().execute_activity(input)
        except FailureError:
            raise
        # The edge of every activity: whatever failed leaves it as a code, and nothing is swallowed.
        except Exception as error:  # noqa: BLE001
            failure = failure_of(error)
            if failure.type == UNEXPECTED:
                # Places and kinds, since the text of an error can quote what it choked on.
                log.error("activity.failed", activity=input.fn.__name__, **_described(error))
            raise failure from None


def _described(error: BaseException) -> dict[str, object]:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_LOGGED_MAX:]
    return {
        "error": type(error).__name__,
        "where": [f"{frame.filename}:{frame.lineno}" for frame in frames],
    }
