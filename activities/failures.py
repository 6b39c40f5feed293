"""The edge between our errors and Temporal's: what fails in an activity leaves it as a code.

A workflow's history is kept, and what was said must never get there; not even inside an error's text.
"""

from __future__ import annotations

from typing import Any

import structlog
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.errors import InvalidInput, NotFound, RuleBroken, VivavoceError, first_of, told

log = structlog.get_logger()

UNEXPECTED = "unexpected"


def failure_of(error: BaseException) -> ApplicationError:
    """A broken rule or a bad input is not tried again; a dependency that failed is."""
    error = first_of(error)
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
                log.error("activity.failed", activity=input.fn.__name__, **told(error))
            raise failure from None
