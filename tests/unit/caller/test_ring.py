"""A whole call over real WebRTC, with a persona that says beeps."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import av
import pytest
from pydantic import JsonValue

from domain.ids import PersonaId
from ops.caller import latency, script
from ops.caller.api import Api
from ops.caller.document import SavedFiles, document
from ops.caller.latency import measure
from ops.caller.ring import HEARD_NAME, SEEN_NAME, Outcome, Plan, Watcher, ring
from ops.caller.sound import Sound
from ops.event_view import EventView
from tests.unit.caller.fake_persona import PERSONA, FakePersona
from tests.unit.caller.speech import joined, silence, tone

CALL_WITHIN_S = 60.0
# Less than what aiortc's jitter buffer would add.
PACKET_TO_PACKET_S = 0.07
START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def question(seconds: float = 0.6) -> Sound:
    return Sound.of("question", joined(silence(0.1), tone(seconds, hz=200), silence(0.1)))


async def placed(
    persona: FakePersona, *sounds: Sound, barge_in_s: float | None = None, save: Path | None = None
) -> Outcome:
    plan = Plan(PersonaId(PERSONA), sounds, barge_in_s, save)
    async with persona.serving() as url, Api(url, "key") as api, asyncio.timeout(CALL_WITHIN_S):
        return await ring(api, plan, Watcher())


async def test_latency_is_measured_at_the_packet() -> None:
    persona = FakePersona()

    outcome = await placed(persona, question(), question())

    assert outcome.error is None
    greeting, *answers = persona.voice.began_s
    assert len(answers) == 2
    assert [run.began_s for run in outcome.replies] == pytest.approx(
        [greeting, *answers], abs=PACKET_TO_PACKET_S
    )
    assert [turn.latency_ms for turn in measure(outcome.spoken, outcome.replies)] == pytest.approx(
        [(answer - spoken.last_s) * 1000 for answer, spoken in zip(answers, outcome.spoken, strict=True)],
        abs=PACKET_TO_PACKET_S * 1000,
    )


async def test_the_caller_waits_for_a_second_of_silence_before_it_speaks() -> None:
    outcome = await placed(FakePersona(), question(), question())

    for spoken, run in zip(outcome.spoken, outcome.replies, strict=False):
        assert spoken.first_s - run.ended_s >= script.SILENCE_S


async def test_with_barge_in_the_second_sound_comes_while_the_persona_speaks() -> None:
    outcome = await placed(FakePersona(), question(), question(), barge_in_s=0.3)

    first, second = outcome.spoken
    [answer] = [run for run in outcome.replies if first.last_s <= run.began_s < second.first_s]
    # A tenth of a second of silence comes before its speech.
    assert second.first_s - answer.began_s == pytest.approx(0.4, abs=0.15)
    [_, turn] = measure(outcome.spoken, outcome.replies)
    assert turn.barge_in_silence_ms is not None
    assert turn.barge_in_silence_ms < 500


async def test_the_caller_hangs_up_and_beats_its_heart() -> None:
    persona = FakePersona()

    await placed(persona, question())

    assert persona.messages[-1] == {"type": "hang_up"}
    assert {"type": "heartbeat"} in persona.messages


async def test_a_persona_that_never_answers_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (latency, script):
        monkeypatch.setattr(module, "ANSWER_WITHIN_S", 1.0)

    outcome = await placed(FakePersona(mute=True), question())

    shown = document(outcome, saved=None)
    assert (shown.status, shown.latency_ms.each, shown.latency_ms.p50) == ("sealed", [None], None)


async def test_a_call_that_the_persona_ends_is_a_whole_call() -> None:
    persona = FakePersona()
    persona.ends_itself = True

    outcome = await placed(persona, *[question()] * 5)

    assert outcome.error is None
    assert len(outcome.spoken) < 5
    assert {"type": "hang_up"} not in persona.messages


async def test_what_was_heard_and_seen_is_kept(tmp_path: Path) -> None:
    outcome = await placed(FakePersona(), question(), save=tmp_path)

    with av.open(str(tmp_path / HEARD_NAME)) as heard:
        assert heard.streams.audio[0].rate == 48_000
        assert heard.duration is not None
        assert heard.duration / 1e6 > 3
    assert outcome.seen.frames > 30
    assert (tmp_path / SEEN_NAME).stat().st_size > 0


async def test_an_interface_that_does_not_answer_is_a_failure_with_a_sentence() -> None:
    async with Api("http://127.0.0.1:9", "key") as api:
        outcome = await ring(api, Plan(PersonaId(PERSONA), [question()]), Watcher())

    shown = document(outcome, saved=None).model_dump(mode="json")
    assert shown["status"] == "failed"
    assert "does not answer" in shown["error"]
    assert shown["latency_ms"] == {
        "turns": 0,
        "p50": None,
        "p95": None,
        "max": None,
        "each": [],
        "cut_ins": 0,
    }


def event(
    version: int, at_s: float, kind: str, payload: dict[str, JsonValue], *, noted_late_s: float = 0.0
) -> dict[str, JsonValue]:
    """As the interface gives it; `at_s` is seconds on the recording, which began at START."""
    occurred_at = START + timedelta(seconds=at_s + noted_late_s)
    return {
        **{"version": version, "event_id": str(uuid4()), "type": kind, "schema_version": 1},
        **{"occurred_at": occurred_at.isoformat(), "recorded_at": START.isoformat()},
        **{"media_ms": round(at_s * 1000), "actor": {"kind": "media_worker", "id": "w"}},
        **{"causation_id": None, "correlation_id": None, "session_epoch": 1},
        **{"classification": "personal", "payload": payload},
    }


def sentence(number: int, text: str, turn: str, kind: str = "answer") -> dict[str, JsonValue]:
    return {
        **{"sentence_id": str(number).zfill(32), "reply_id": turn, "turn_id": turn, "index": 0},
        **{"kind": kind, "text": text, "emotion": "neutral"},
    }


def told() -> list[dict[str, JsonValue]]:
    turn, other = str(uuid4()), str(uuid4())
    words: list[JsonValue] = [{"w": "Hello.", "start_ms": 3000, "end_ms": 3500, "confidence": 0.9}]
    heard: dict[str, JsonValue] = {
        **{"utterance_id": str(uuid4()), "turn_id": other, "text": "Hello.", "words": words},
        **{"times": "estimated", "recogniser": "moonshine", "source": "speech"},
        **{"started_media_ms": 3000, "ended_media_ms": 3500},
    }
    return [
        event(1, 0.5, "sentence.committed", sentence(1, "I am an AI.", turn, "disclosure")),
        event(2, 0.6, "sentence.committed", sentence(2, "How can I help?", turn, "greeting")),
        event(
            3,
            1.6,
            "sentence.played",
            {"sentence_id": "1".zfill(32), "started_media_ms": 700, "played_ms": 900},
        ),
        event(
            4,
            2.8,
            "sentence.played",
            {"sentence_id": "2".zfill(32), "started_media_ms": 1700, "played_ms": 1100},
        ),
        event(5, 3.5, "utterance.transcribed", heard, noted_late_s=0.6),
        event(6, 4.3, "sentence.committed", sentence(3, "It is thirty days.", other)),
        event(
            7,
            5.2,
            "sentence.interrupted",
            {
                **{"sentence_id": "3".zfill(32), "started_media_ms": 4400, "played_ms": 700},
                **{"played_text": "It is", "words": [], "cause": "barge_in"},
            },
        ),
    ]


async def test_the_document_tells_what_was_said_and_what_was_played() -> None:
    outcome = await placed(FakePersona(told()), question())

    shown = document(outcome, saved=SavedFiles(heard="h", video="v", events="e")).model_dump(mode="json")

    first, second, third = shown["transcript"]
    assert first["text"] == first["played_text"] == "I am an AI. How can I help?"
    assert (first["turn"], first["role"], first["interrupted"]) == (1, "persona", False)
    assert (first["started_at"], first["ended_at"]) == (
        "2026-03-02T09:30:00.700000Z",
        "2026-03-02T09:30:02.800000Z",
    )
    assert (second["role"], second["played_text"]) == ("user", None)
    assert second["started_at"] == "2026-03-02T09:30:03Z"
    assert second["words"] == [{"w": "Hello.", "start_s": 3.0, "end_s": 3.5, "confidence": 0.9}]
    assert (third["text"], third["played_text"], third["interrupted"]) == (
        "It is thirty days.",
        "It is",
        True,
    )
    assert shown["events"] == {
        **{"sentence.committed": 3, "sentence.played": 2},
        **{"utterance.transcribed": 1, "sentence.interrupted": 1},
    }
    assert set(shown) == {
        *("conversation_id", "status", "transcript", "events", "latency_ms"),
        *("stages_ms", "video", "saved"),
    }


def test_words_of_a_second_worker_are_timed_from_the_first_packet_of_the_call() -> None:
    # Given a record whose second worker went on 6 s later from the place where the first one's had ended
    first, second = str(uuid4()), str(uuid4())

    def heard(turn: str, at_ms: int) -> dict[str, JsonValue]:
        words: list[JsonValue] = [
            {"w": "Hello.", "start_ms": at_ms, "end_ms": at_ms + 500, "confidence": 0.9}
        ]
        return {
            **{"utterance_id": str(uuid4()), "turn_id": turn, "text": "Hello.", "words": words},
            **{"times": "estimated", "recogniser": "moonshine", "source": "speech"},
            **{"started_media_ms": at_ms, "ended_media_ms": at_ms + 500},
        }

    participant = str(uuid4())
    taken_over = [
        event(4, 4.0, "media.connected", {"participant_id": participant, "connection": 2}, noted_late_s=6.0),
        event(5, 5.5, "utterance.transcribed", heard(second, 5_000), noted_late_s=6.0),
    ]
    record = [
        event(1, 0.5, "media.connected", {"participant_id": participant, "connection": 1}),
        event(2, 2.5, "utterance.transcribed", heard(first, 2_000)),
        event(3, 3.0, "sentence.committed", sentence(1, "Yes.", first)),
        *({**each, "session_epoch": 2} for each in taken_over),
    ]

    shown = document(Outcome(events=[EventView.model_validate(each) for each in record]), saved=None)

    # Then what was said to the second one stands where it was in the call
    before, _, after = shown.transcript
    assert (before.words[0].start_s, after.words[0].start_s) == (1.5, 10.5)
    assert (after.started_at - before.started_at).total_seconds() == 9.0
