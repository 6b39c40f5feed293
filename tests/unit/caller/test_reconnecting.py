"""A call whose connection is lost under it, over real WebRTC, with a persona that says beeps."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import Response

from domain.ids import PersonaId
from ops.caller import line, patience
from ops.caller.api import Api
from ops.caller.latency import measure
from ops.caller.ring import Outcome, Plan, Watcher, ring
from ops.caller.sound import Sound
from tests.unit.caller.fake_persona import PERSONA, FakePersona
from tests.unit.caller.speech import joined, silence, tone

CALL_WITHIN_S = 60.0


def question(seconds: float = 0.6) -> Sound:
    return Sound.of("question", joined(silence(0.1), tone(seconds, hz=200), silence(0.1)))


async def lost_in_mid_question(
    persona: FakePersona, *sounds: Sound, silently: bool = False
) -> tuple[Outcome, list[str]]:
    """The call, and the steps of it that were told."""
    steps: list[str] = []
    plan = Plan(PersonaId(PERSONA), sounds)
    async with persona.serving() as url, Api(url, "key") as api, asyncio.timeout(CALL_WITHIN_S):
        calling = asyncio.create_task(ring(api, plan, Watcher(steps.append)))
        await persona.heard.wait()
        await persona.drop(silently=silently)
        return await calling, steps


@pytest.mark.parametrize(("silently", "questions"), [(False, 2), (True, 1)], ids=["closed", "silent"])
async def test_a_lost_connection_is_made_again_and_the_question_asked_again(
    silently: bool, questions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a caller whose worker goes while it speaks
    monkeypatch.setattr(line, "SILENT_WORKER_S", 1.5)
    persona = FakePersona()

    outcome, steps = await lost_in_mid_question(persona, *[question(1.0)] * questions, silently=silently)

    # Then it came back with its credential, and each question was heard and answered once
    assert outcome.error is None
    assert "reconnecting (attempt 1)" in steps
    assert set(persona.credentials) == {"Bearer again"}
    greeting, *answers = persona.voice.began_s
    assert len(outcome.spoken) == len(answers) == questions
    # And no latency holds the time without a connection
    latencies = [turn.latency_ms for turn in measure(outcome.spoken, outcome.replies)]
    assert all(latency is not None and latency < 1_000 for latency in latencies)
    assert outcome.spoken[0].first_s > greeting


async def test_a_worker_that_does_not_come_back_is_a_failure_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "RECONNECT_ATTEMPTS_MAX", 2)
    persona = FakePersona()
    calling = asyncio.create_task(lost_in_mid_question(persona, question(1.0)))
    await persona.heard.wait()
    # As a proxy answers for an API that is away.
    persona.refusal = Response(status_code=502)

    outcome, steps = await calling

    assert outcome.error is not None
    assert "could not be restored in 2 attempts" in outcome.error
    assert [step for step in steps if "reconnecting" in step] == [
        "reconnecting (attempt 1)",
        "reconnecting (attempt 2)",
    ]


async def test_a_conversation_that_is_over_is_not_tried_again() -> None:
    persona = FakePersona()
    calling = asyncio.create_task(lost_in_mid_question(persona, question(1.0)))
    await persona.heard.wait()
    persona.refusal = Response(
        '{"detail": "This conversation has ended."}', status_code=409, media_type="application/problem+json"
    )

    outcome, _ = await calling

    assert outcome.error is not None
    assert "This conversation has ended." in outcome.error
    assert len(persona.credentials) == 3, "the first 503, the connection, and one attempt"
