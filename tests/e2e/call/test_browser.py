"""A call in a real Chromium, with a recorded voice as its microphone: what the page showed was so."""

from __future__ import annotations

import pytest

from tests.e2e.call.browser import LOUD, BrowserCall
from tests.e2e.call.conftest import TYPED
from tests.e2e.call.page_log import assert_nothing_else_was_shown, captions_of, states_of, turns_of
from tests.stack import RunningStack, payloads

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_person_joins_is_heard_hears_sees_and_hangs_up(
    running: RunningStack, browser_call: BrowserCall
) -> None:
    # Given a call from a page, then the person saw and heard the persona
    assert browser_call.errors == []
    assert browser_call.received["width"] == 512
    assert browser_call.received["frames"] > 200
    assert browser_call.loudness >= LOUD
    # And was heard, and read, and the call ended as they wished
    events = running.events(browser_call.conversation_id)
    *spoken, written = payloads(events, "utterance.transcribed")
    assert {p["source"] for p in spoken} == {"speech"}
    assert browser_call.microphone.word in spoken[-1]["text"].lower()
    print(f"{browser_call.microphone.voice}: {spoken[-1]['text']}")  # noqa: T201 - for people to read
    assert (written["source"], written["text"]) == ("text", TYPED)
    assert [p["reason"] for p in payloads(events, "participant.left")] == ["hung_up"]
    assert payloads(events, "conversation.ended") == [{"reason": "participant_hung_up"}]


def test_everything_that_the_page_showed_is_what_the_record_holds(
    running: RunningStack, browser_call: BrowserCall
) -> None:
    # Given all captions and states of a call, one sentence of which was cut off
    events = running.events(browser_call.conversation_id)
    shown = browser_call.shown
    (cut,) = [p for p in payloads(events, "sentence.interrupted") if p["played_text"]]

    # Then in the end the captions of both sides stood there in the order of the record, with what was played
    assert list(shown.last) == captions_of(events)
    assert [line.text for line in shown.last if line.interrupted] == [cut["played_text"]]
    # And the states followed each other as the record says who had the floor
    assert list(shown.states) == states_of(events)
    # And at no moment anything else was shown
    assert_nothing_else_was_shown(shown, events)
    # And the page after the call tells it turn by turn, with what was not spoken
    assert browser_call.written == turns_of(events)
