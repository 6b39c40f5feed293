"""One stack for the calls of this package, and one call from a browser for all who look at it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.calls import BRIEF, Say, recordings, running_stack
from tests.e2e.call.browser import BrowserCall, call_in_chromium
from tests.stack import RunningStack

# Words that stand in no program, so that wherever they are found, this call has left them there. What is made
# of the spoken ones is up to the recogniser; what was typed is exact.
SPOKEN = "My name is Winterbottom and I have pneumonia. How do I make a complaint?"
TYPED = (
    "I am Araminta Quillfeather, policy 7740291836, with polymyositis. "
    "How long do I have to report a burst pipe?"
)


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


@pytest.fixture(scope="package")
def browser_call(running: RunningStack, say: Say, brief: Path) -> BrowserCall:
    """A person who is greeted, asks, writes into the answer, hears that answered to its end, and hangs up."""
    microphone = say("microphone", SPOKEN, lead_s=0.5, tail_s=120)
    running.ask("persona", "publish", str(brief))
    return asyncio.run(call_in_chromium(running, persona="Ivo", microphone=microphone, typed=TYPED))
