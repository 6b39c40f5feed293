"""Every event of a session says why it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np

from domain.events.catalogue import (
    FloorChanged,
    FloorState,
    HandoffRequested,
    MediaDisconnected,
    SentenceInterrupted,
    UtteranceTranscribed,
)
from domain.ids import TenantId
from domain.mind.persona import PublishedPersona
from domain.ports import EventStore
from tests.causes import links, unexplained
from tests.media.session.rig import Caller, Models, live_call, persona

Speak = Callable[[str], np.ndarray]


def handing_over() -> PublishedPersona:
    """A policy that hands over to a person, by what the caller says and by what the persona would."""
    return persona(
        guardrails=[
            {
                "guardrail_name": "danger",
                "scope": "input",
                "test": {"kind": "pattern", "any_of": [r"\bfire\b"]},
                "verdict": "escalate",
                "say": "I am getting somebody for you.",
            },
            {
                "guardrail_name": "no_promise",
                "scope": "output",
                "test": {"kind": "pattern", "any_of": [r"\bwe will pay\b"]},
                "verdict": "escalate",
                "say": "A colleague has to tell you that.",
            },
        ]
    )


async def test_a_whole_session_has_a_cause_for_every_event(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path, speak: Speak
) -> None:
    # Given a policy that hands over to a person, and a long answer
    long = "First we look at the report, then at the photographs, and then at every receipt that you sent us."
    lines = [long, "We will pay you on Monday."]
    async with live_call(
        models, event_store, tenant_id, tmp_path, lines=lines, published=handing_over()
    ) as call:
        await call.join()
        await call.caller.until(lambda: call.caller.states()[-2:] == ["speaking", "listening"])

        # When the caller asks, cuts in, comes back by another connection, writes, and hangs up
        call.caller.voice.say(speak("What happens to my claim?"))
        await call.caller.until(lambda: call.caller.states()[-2:] == ["thinking", "speaking"])
        began_s = asyncio.get_running_loop().time()
        await call.caller.until(lambda: len(call.caller.loud_since(began_s)) > 50)
        call.caller.voice.say(speak("Sorry, will you pay for it?"))
        await call.caller.until(lambda: any(m["type"] == "interrupted" for m in call.caller.messages), 5)
        await call.caller.until(lambda: call.caller.states()[-1] == "thinking")
        await call.caller.until(
            lambda: call.caller.states()[-3:] == ["thinking", "speaking", "listening"], 20
        )
        await call.caller.close()
        again = Caller()
        await call.join(again)
        again.tell({"type": "text", "text": "There is a fire!"})
        await again.until(lambda: again.states()[-2:] == ["speaking", "listening"], 20)
        again.tell({"type": "hang_up"})
        await call.end()
        await again.close()

    # Then all that can happen happened, and each event follows from an earlier one that leads to its kind
    events = await call.events()
    assert unexplained(links(events)) == []
    kinds = [type(event.payload) for event in events]
    assert kinds.count(HandoffRequested) == 2
    for kind in (SentenceInterrupted, MediaDisconnected):
        assert kind in kinds
    # And what was said follows from the moment at which the floor was taken for it
    causes = {event.event_id: event.payload for event in events}
    spoken = [
        event
        for event in events
        if isinstance(event.payload, UtteranceTranscribed) and event.payload.source == "speech"
    ]
    taken = [causes[event.causation_id] for event in spoken if event.causation_id is not None]
    assert [(t.state, t.reason) for t in taken if isinstance(t, FloorChanged)] == [
        (FloorState.PARTICIPANT, "voice_began"),
        (FloorState.PARTICIPANT, "barge_in"),
    ]
