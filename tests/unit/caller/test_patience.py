"""How long and how often a lost connection is made again. No clock runs here."""

from __future__ import annotations

import pytest

from ops.caller.errors import CallFailed, LineLost
from ops.caller.latency import Run, Spoken
from ops.caller.patience import (
    BACKOFF_MAX_S,
    RECONNECT_ATTEMPTS_MAX,
    RECONNECT_WITHIN_S,
    STABLE_S,
    Patience,
)
from ops.caller.script import forget_unanswered

LOST = LineLost("The connection to the media worker was lost.")


def test_attempts_come_at_growing_distances_and_are_counted() -> None:
    patience = Patience().after_loss(100.0, stood_s=60.0)

    waits: list[float] = []
    for _ in range(RECONNECT_ATTEMPTS_MAX):
        patience, wait_s = patience.next_attempt(100.0, LOST)
        waits.append(wait_s)

    assert waits[:4] == [0.5, 1.0, 2.0, 4.0]
    assert set(waits[4:]) == {BACKOFF_MAX_S}
    with pytest.raises(CallFailed, match=r"could not be restored in 8 attempts.*The connection to the media"):
        patience.next_attempt(101.0, LOST)


def test_no_attempt_begins_after_the_time_is_up() -> None:
    patience = Patience().after_loss(100.0, stood_s=60.0)

    patience.next_attempt(100.0 + RECONNECT_WITHIN_S, LOST)
    with pytest.raises(CallFailed, match=r"0 attempts and 91 s"):
        patience.next_attempt(101.0 + RECONNECT_WITHIN_S, LOST)


@pytest.mark.parametrize(("stood_s", "attempts"), [(STABLE_S, 0), (STABLE_S - 0.1, 1)])
def test_only_a_connection_that_stood_starts_the_count_anew(stood_s: float, attempts: int) -> None:
    tried, _ = Patience().after_loss(100.0, stood_s=60.0).next_attempt(100.0, LOST)

    again = tried.after_loss(120.0, stood_s=stood_s)

    assert (again.attempts, again.since_s) == (attempts, 100.0 if attempts else 120.0)


@pytest.mark.parametrize(
    ("replies", "answered"),
    [
        ([], False),
        ([Run(1.0, 9.0)], False),
        ([Run(9.0, 10.5)], False),
        ([Run(10.5, 11.0)], False),
        ([Run(12.6, 19.1)], False),
        ([Run(12.6, 14.0), Run(14.5, 19.9)], False),
        ([Run(11.0, 13.0)], True),
        ([Run(12.6, 19.0)], True),
    ],
    ids=["silence", "before", "spoken over", "cut in and stopped", "cut off", "going on", "cut in", "after"],
)
def test_a_sound_without_its_whole_answer_is_taken_back_to_be_said_again(
    replies: list[Run], answered: bool
) -> None:
    first, last = Spoken(2.0, 3.0), Spoken(10.0, 12.0)
    spoken = [first, last]

    forget_unanswered(spoken, replies, heard_until_s=20.0)

    assert spoken == ([first, last] if answered else [first])


def test_nothing_is_taken_back_before_anything_was_said() -> None:
    spoken: list[Spoken] = []

    forget_unanswered(spoken, [Run(1.0, 2.0)], heard_until_s=2.0)

    assert spoken == []
