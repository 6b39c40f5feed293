"""What fails in an activity leaves it as a code."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.failures import UNEXPECTED, CodesOnly, failure_of
from domain.errors import NotFound, StaleEpoch, StoreUnavailable, VivavoceError
from domain.ids import StreamId

STREAM = StreamId("conversation-x")


@pytest.mark.parametrize(
    ("error", "code", "final"),
    [
        (StaleEpoch(STREAM, epoch=1, current=2), "stale_epoch", True),
        (NotFound("no such conversation"), "not_found", True),
        (StoreUnavailable("Postgres did not answer"), "store_unavailable", False),
    ],
)
def test_an_error_of_ours_is_its_code_and_only_a_dependency_is_tried_again(
    error: VivavoceError, code: str, final: bool
) -> None:
    failure = failure_of(error)

    assert (failure.type, failure.message, failure.non_retryable) == (code, code, final)


def test_any_other_error_says_nothing_of_what_it_choked_on() -> None:
    failure = failure_of(ValueError("Ada Lovelace, 12 Main Street"))

    assert (failure.type, failure.message) == (UNEXPECTED, UNEXPECTED)
    assert failure.cause is None


def test_what_a_task_group_collected_is_told_by_its_first_member() -> None:
    group = BaseExceptionGroup("two", [ExceptionGroup("one", [StaleEpoch(STREAM, epoch=1, current=2)])])

    assert failure_of(group).type == "stale_epoch"


def test_a_failure_that_is_a_code_already_stays_as_it_is() -> None:
    error = ApplicationError("no_vacancy", type="no_vacancy")

    assert failure_of(error) is error


class _Choking(ActivityInboundInterceptor):
    """An activity that fails with what it was given."""

    def __init__(self) -> None:
        pass

    async def execute_activity(self, input: ExecuteActivityInput) -> None:  # noqa: A002
        raise ValueError(f"no entry for {input.args[0]}")


async def test_what_nobody_foresaw_is_logged_by_kind_and_place_without_its_text() -> None:
    async def look_up(_: str) -> None: ...

    given = ExecuteActivityInput(fn=look_up, args=["Ada Lovelace"], executor=None, headers={})
    with capture_logs() as logs, pytest.raises(ApplicationError) as failed:
        await CodesOnly().intercept_activity(_Choking()).execute_activity(given)

    [line] = logs
    assert (line["event"], line["error"]) == ("activity.failed", "ValueError")
    assert "test_failures.py:" in line["where"][-1]
    assert "Ada" not in str(line)
    assert (failed.value.type, failed.value.__cause__) == (UNEXPECTED, None)
