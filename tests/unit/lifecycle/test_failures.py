"""What fails in an activity leaves it as a code."""

from __future__ import annotations

import pytest
from temporalio.exceptions import ApplicationError

from activities.failures import UNEXPECTED, failure_of
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
