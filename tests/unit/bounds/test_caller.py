"""Limits of the caller and of its commands."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import numpy as np
import pytest

from domain.ids import ConversationId, ParticipantId
from ops.caller import api as api_module
from ops.caller import sound as sound_module
from ops.caller.api import EVENTS_MAX, OFFER_RETRY_MAX_S, Api, Membership
from ops.caller.ear import GAP_SAMPLES_MAX
from ops.caller.ear import Ear as CallerEar
from ops.caller.errors import CallFailed, SoundUnusable
from ops.caller.mouth import SOUNDS_WAITING_MAX, Mouth
from ops.caller.script import REPLY_SECONDS_MAX, SILENCE_S, _silence
from ops.caller.sound import SOUND_SECONDS_MAX, Sound, read_sound
from ops.caller.voice import QUESTIONS_MAX, read_questions
from ops.cli.bench import TURNS_MAX
from ops.cli.conversation import LIST_MAX
from ops.cli.demo import BARGE_IN_S_MAX
from ops.cli.main import run
from tests.unit.caller.speech import tone
from tests.virtual_time import in_virtual_time, virtual_loop

CONVERSATION = ConversationId(UUID("3f0c1d1a-6f0e-4b7c-9a46-0d2f4f1f1a11"))


def test_a_question_file_may_hold_so_many_questions(tmp_path: Path) -> None:
    file = tmp_path / "questions.yaml"
    lines = [f"  - Question {number}?" for number in range(QUESTIONS_MAX + 1)]

    file.write_text("questions:\n" + "\n".join(lines[:-1]))
    assert len(read_questions(file)) == QUESTIONS_MAX

    file.write_text("questions:\n" + "\n".join(lines))
    with pytest.raises(SoundUnusable, match=r"questions\.yaml"):
        read_questions(file)


def test_a_recording_that_is_too_long_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given recordings of just a second and of more, when a second is the limit
    assert SOUND_SECONDS_MAX == 600
    monkeypatch.setattr(sound_module, "SOUND_SECONDS_MAX", 1)
    for name, seconds in (("fits", 1.0), ("long", 1.1)):
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(48_000)
            file.writeframes(tone(seconds).tobytes())

    # Then the first is read and the second is not
    assert len(read_sound(tmp_path / "fits.wav").pcm) == 48_000
    with pytest.raises(SoundUnusable, match="cut it"):
        read_sound(tmp_path / "long.wav")


@in_virtual_time
async def test_the_mouth_holds_one_sound_and_refuses_the_next() -> None:
    mouth, sound = Mouth(), Sound.of("tone", tone(0.1))
    assert SOUNDS_WAITING_MAX == 1

    saying = virtual_loop().create_task(mouth.say(sound))
    await mouth.recv()

    with pytest.raises(CallFailed, match="one sound at a time"):
        await mouth.say(sound)
    saying.cancel()


class Talking:
    """An ear that hears the persona pause only after so many seconds."""

    def __init__(self, pause_after_s: float) -> None:
        self._pause_at_s = virtual_loop().time() + pause_after_s

    async def silence(self, seconds: float, **_: float) -> None:
        await asyncio.sleep(self._pause_at_s - virtual_loop().time() + seconds)


@in_virtual_time
async def test_a_persona_that_never_pauses_ends_the_call() -> None:
    # Given a persona that pauses just in time, and one that does not
    await _silence(cast(CallerEar, Talking(REPLY_SECONDS_MAX - SILENCE_S - 1)))
    began_s = virtual_loop().time()

    # When the caller waits for it, then it gives up at the limit
    with pytest.raises(CallFailed, match=f"{REPLY_SECONDS_MAX:.0f} s"):
        await _silence(cast(CallerEar, Talking(REPLY_SECONDS_MAX + 1)))
    assert virtual_loop().time() - began_s == pytest.approx(REPLY_SECONDS_MAX)


@pytest.mark.parametrize(("gap", "written"), [(5, 5), (GAP_SAMPLES_MAX + 5, GAP_SAMPLES_MAX)])
def test_sound_that_did_not_arrive_is_silence_up_to_the_limit(tmp_path: Path, gap: int, written: int) -> None:
    heard = tmp_path / "heard.wav"
    ear = CallerEar(heard)

    ear._write(gap, np.ones(10, np.int16))
    ear.close()

    with wave.open(str(heard)) as file:
        assert file.getnframes() == written + 10


def an_event(version: int) -> dict[str, Any]:
    return {
        "event_id": str(uuid4()),
        "version": version,
        "type": "media.lost",
        "schema_version": 1,
        "occurred_at": "2026-03-02T09:30:00Z",
        "recorded_at": "2026-03-02T09:30:00Z",
        "media_ms": None,
        "actor": {"kind": "service", "id": "tests"},
        "causation_id": None,
        "correlation_id": None,
        "session_epoch": 1,
        "classification": "public",
        "payload": {},
    }


def endless(request: httpx.Request) -> httpx.Response:
    after = int(request.url.params["after"])
    return httpx.Response(200, json={"events": [an_event(after + 1)], "next_after": after + 1})


async def test_a_record_that_does_not_end_is_a_failure_and_not_a_part_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a server whose pages never end, when three events may be read
    assert EVENTS_MAX == 100_000
    monkeypatch.setattr(api_module, "EVENTS_MAX", 3)
    api = Api("http://here", "key")
    api._client = httpx.AsyncClient(base_url="http://here", transport=httpx.MockTransport(endless))

    # Then the caller is told, since what was read is not the whole record
    async with api:
        with pytest.raises(CallFailed, match="more than 3 events"):
            await api.events(CONVERSATION)


@in_virtual_time
async def test_an_offer_is_repeated_at_the_latest_after_the_limit() -> None:
    # Given a server that is busy, asks for a minute of patience, and then answers
    asked_s: list[float] = []

    def busy_once(_: httpx.Request) -> httpx.Response:
        asked_s.append(virtual_loop().time())
        if len(asked_s) == 1:
            return httpx.Response(503, headers={"Retry-After": "60"})
        return httpx.Response(200, json={"sdp": "v=0"})

    api = Api("http://here", "key")
    api._client = httpx.AsyncClient(base_url="http://here", transport=httpx.MockTransport(busy_once))
    async with api:
        membership = Membership.model_construct(participant_id=ParticipantId(uuid4()), resume_credential="r")
        assert await api.offer(CONVERSATION, membership, "v=0") == "v=0"

    # Then it was asked again sooner: a media worker takes far less to come
    assert asked_s[1] - asked_s[0] == pytest.approx(OFFER_RETRY_MAX_S)


@pytest.mark.parametrize(
    "command",
    [
        ("bench", "call", "--turns", str(TURNS_MAX + 1)),
        ("conversation", "list", "--limit", str(LIST_MAX + 1)),
        ("demo", "--barge-in", str(BARGE_IN_S_MAX + 1)),
    ],
    ids=" ".join,
)
def test_a_command_refuses_a_number_beyond_its_limit(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(list(command)) == 2
    assert "less than or equal to" in capsys.readouterr().err
