"""One stack for the calls of this package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.calls import BRIEF, Say, recordings, running_stack
from tests.stack import RunningStack


@pytest.fixture(scope="package")
def running() -> Iterator[RunningStack]:
    yield from running_stack()


@pytest.fixture(scope="package")
def say(tmp_path_factory: pytest.TempPathFactory, running: RunningStack) -> Say:
    return recordings(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="package")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A persona file."""
    path = tmp_path_factory.mktemp("persona") / "persona.yaml"
    path.write_text(BRIEF)
    return path
