"""One stack for the calls of this package, and one call from a browser for all who look at it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.calls import BRIEF, JFK, Say, excerpt, recordings, running_stack, silence, written
from tests.e2e.call.browser import BrowserCall, Microphone, call_in_chromium
from tests.stack import RunningStack

# A person's voice where a recording of one is there: the last clause of it, which is a turn without a pause.
PERSON, SYNTHESISER = "recorded-human-voice", "built-in-synthesiser"
VOICE = PERSON if JFK.exists() else SYNTHESISER
LAST_CLAUSE_S = 8.0
# Words that stand in no program, so that wherever they are found, this call has left them there. What is made
# of the spoken ones is up to the recogniser; what was typed is exact.
SPOKEN = "How do I make a complaint about Doctor Winterbottom?"
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


@pytest.fixture(scope="package", params=[VOICE])
def microphone(
    request: pytest.FixtureRequest, say: Say, tmp_path_factory: pytest.TempPathFactory
) -> Microphone:
    """Which voice it is stands in the name of each test."""
    if request.param == SYNTHESISER:
        return Microphone(SYNTHESISER, say("microphone", SPOKEN, lead_s=0.5, tail_s=120), "complaint")
    path = tmp_path_factory.mktemp("microphone") / "microphone.wav"
    said = written(path, silence(0.5), excerpt(JFK, LAST_CLAUSE_S), silence(120))
    return Microphone(PERSON, said, "country")


@pytest.fixture(scope="package")
def browser_call(running: RunningStack, microphone: Microphone, brief: Path) -> BrowserCall:
    """A person is greeted, speaks, writes into the answer, hears that answered to its end, and hangs up."""
    running.ask("persona", "publish", str(brief))
    return asyncio.run(call_in_chromium(running, persona="Ivo", microphone=microphone, typed=TYPED))
