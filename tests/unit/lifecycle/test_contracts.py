"""The stubs that workflows call and the activities that answer are the same thing twice."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from activities.conversations import ConversationActivities
from activities.media_session import MediaSessionActivities
from workflows import contracts

STUBS = {
    name: member
    for name, member in vars(contracts).items()
    if inspect.iscoroutinefunction(member) and member.__module__ == contracts.__name__
}
ACTIVITIES: dict[str, Callable[..., Any]] = {
    name: member
    for home in (ConversationActivities, MediaSessionActivities)
    for name, member in vars(home).items()
    if hasattr(member, "__temporal_activity_definition")
}


def test_every_stub_has_an_activity_and_every_activity_a_stub() -> None:
    assert len(STUBS) == 8
    assert STUBS.keys() == ACTIVITIES.keys()


@pytest.mark.parametrize("name", sorted(STUBS))
def test_a_stub_and_its_activity_take_and_give_the_same(name: str) -> None:
    assert get_type_hints(ACTIVITIES[name]) == get_type_hints(STUBS[name])


@pytest.mark.parametrize("name", sorted(STUBS))
async def test_a_stub_is_never_the_one_that_runs(name: str) -> None:
    with pytest.raises(NotImplementedError):
        await STUBS[name](None)
