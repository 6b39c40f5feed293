"""`vivavoce demo` on the real stack: the caller's document, its recordings, and the record behind it."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from media.hearing.ear import HearingModels
from ops.caller.word_errors import word_error_rate
from ops.cli.options import models_folder
from tests.calls import JFK, Say, held_back
from tests.causes import shown_links, unexplained
from tests.e2e.call.form import assert_failed, assert_sealed, assert_told_as_recorded
from tests.stack import RunningStack, finished, payloads, restarted, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

JFK_SAYS = (
    "And so, my fellow Americans, ask not what your country can do for you, "
    "ask what you can do for your country."
)
# From the first packet to the first word, on a machine that does other work beside.
GREETED_WITHIN_S = 5.0
# A worker's silence, and every attempt to find another.
GIVES_UP_WITHIN_S = 120.0


def test_a_call_is_told_in_one_document_and_kept_in_files(
    running: RunningStack, say: Say, brief: Path, tmp_path: Path
) -> None:
    # Given a recording of a question, when it is played to the persona
    question = say("pipe", "How long do I have to report a burst pipe?")
    call = running.call("--persona", str(brief), "--audio", str(question), "--save", str(tmp_path))
    shown = finished(call)

    # Then the document has the promised shape, and what it tells is what stands in the record
    events = running.events(shown["conversation_id"])
    assert_sealed(shown, saved=True)
    assert_told_as_recorded(shown, events)
    assert [row["role"] for row in shown["transcript"]] == ["persona", "user", "persona"]
    greeting, asked, answered = shown["transcript"]
    assert greeting["text"] == greeting["played_text"] == "You are speaking with an AI. Hello."
    assert asked["text"] == payloads(events, "utterance.transcribed")[0]["text"]
    assert [p["kind"] for p in payloads(events, "sentence.committed")[:2]] == ["disclosure", "greeting"]
    assert "thirty days" in answered["played_text"]
    for row in shown["transcript"]:
        assert row["words"]
        assert row["interrupted"] is False
    assert (shown["latency_ms"]["turns"], shown["latency_ms"]["cut_ins"]) == (1, 0)
    assert shown["latency_ms"]["each"][0] > 0
    assert shown["stages_ms"]["synthesis"] > 0
    # And the first word stands where the caller heard it, seconds from the first packet
    assert 0 < greeting["words"][0]["start_s"] < GREETED_WITHIN_S
    assert shown["video"]["frames"] > 100
    # And what was heard and seen can be played
    heard, seen, kept = (tmp_path / shown["saved"][name] for name in ("heard", "video", "events"))
    assert loudest(heard) > 1_000
    with av.open(str(seen)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 100
    assert [json.loads(line)["version"] for line in kept.read_text().splitlines()] == [
        event["version"] for event in events
    ]


def test_an_interrupted_sentence_is_kept_as_it_was_heard_and_no_further(
    running: RunningStack, say: Say, brief: Path, tmp_path: Path
) -> None:
    # Given a caller who speaks up two seconds into the answer
    first = say("first", "How long do I have to report a burst pipe?")
    second = say("second", "Sorry, how long does a complaint take?")
    audio = ("--audio", str(first), "--audio", str(second))
    call = running.call("--persona", str(brief), *audio, "--barge-in", "2", "--save", str(tmp_path))
    shown = finished(call)

    # Then the record has the words that were played, a beginning of what was committed
    events = running.events(shown["conversation_id"])
    cut = next(p for p in payloads(events, "sentence.interrupted") if p["cause"] == "barge_in")
    committed = {p["sentence_id"]: p["text"] for p in payloads(events, "sentence.committed")}
    text = committed[cut["sentence_id"]]
    assert 0 < len(cut["played_text"]) < len(text)
    assert text.startswith(cut["played_text"])
    # And the next prompt holds those words and no others
    said = [line["text"] for line in json.loads(payloads(events, "prompt.assembled")[-1]["content"])["said"]]
    assert cut["played_text"] in said
    assert text not in said
    # And they are the words that arrived at the caller's ear, but for one at the cut
    assert_heard(tmp_path / shown["saved"]["heard"], shown, cut)
    assert any(row["interrupted"] for row in shown["transcript"])
    assert_sealed(shown, saved=True)
    assert_told_as_recorded(shown, events)


def test_human_speech_is_understood(running: RunningStack, brief: Path) -> None:
    # Given a recording of a person with long pauses inside a sentence
    if not JFK.exists():
        pytest.skip(
            "needs ../shared/speech/jfk.flac beside the checkout: recordings are not in the repository"
        )

    # When it is played, then one word in ten at most is wrong
    shown = finished(running.call("--persona", str(brief), "--audio", str(JFK)))
    assert_sealed(shown, saved=False)
    assert_told_as_recorded(shown, running.events(shown["conversation_id"]))
    heard = " ".join(row["text"] for row in shown["transcript"] if row["role"] == "user")
    assert word_error_rate(JFK_SAYS, heard) <= 0.1


def test_every_sentence_has_its_verdict_before_it_and_one_fate(
    running: RunningStack, say: Say, brief: Path
) -> None:
    # Given a finished call
    shown = finished(
        running.call("--persona", str(brief), "--audio", str(say("again", "What about complaints?")))
    )
    events = running.events(shown["conversation_id"])

    # Then each sentence stands right behind the verdict that allowed it, and ends once
    for event, before in zip(events[1:], events, strict=False):
        if event["type"] == "sentence.committed":
            assert before["type"] == "guardrail.evaluated"
            assert before["payload"]["sentence_id"] == event["payload"]["sentence_id"]
    committed = [p["sentence_id"] for p in payloads(events, "sentence.committed")]
    fates = [
        event["payload"]["sentence_id"]
        for event in events
        if event["type"] in ("sentence.played", "sentence.interrupted")
    ]
    assert sorted(fates) == sorted(committed)
    assert events[-1]["type"] == "conversation.sealed"
    assert events[-1]["payload"]["capture"] == "complete"
    # And every event says why it is there
    assert unexplained(shown_links(events)) == []


def test_a_call_whose_other_side_is_gone_for_good_is_told_as_a_failure(
    running: RunningStack, brief: Path, say: Say
) -> None:
    # Given a call under way
    call = running.call("--persona", str(brief), "--audio", str(say("lost", "What about complaints?")))
    conversation = running.until_event("participant.joined")

    # When the API and the media worker are killed, and nobody starts them again
    with held_back(running.process):
        for name in ("api", "media"):
            running.kill(name)
        out, err = call.communicate(timeout=GIVES_UP_WITHIN_S)

    # Then standard output holds the one document, which says so, and the exit code is 1
    assert call.returncode == 1, err
    shown = json.loads(out)
    assert_failed(shown)
    assert shown["conversation_id"] == conversation
    assert "could not be restored in 8 attempts" in shown["error"]
    assert shown["saved"] is None
    assert shown["video"]["frames"] > 0
    assert "Traceback" not in err
    # (the calls of the other tests need them back)
    until(lambda: all(restarted(running.ask("status"), name) for name in ("api", "media")), within_s=90)
    until(running.answers, within_s=90)


def loudest(path: Path) -> int:
    with wave.open(str(path)) as file:
        return int(np.abs(np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.int32)).max())


def assert_heard(path: Path, shown: dict[str, Any], cut: dict[str, Any]) -> None:
    """Recognises what the caller received where the cut sentence was played."""
    with wave.open(str(path)) as file:
        rate, channels = file.getframerate(), file.getnchannels()
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, channels)[:, 0]
    row = next(row for row in shown["transcript"] if row["interrupted"])
    played = row["played_text"].split()
    start, end = row["words"][0]["start_s"], row["words"][-1]["end_s"]
    piece = samples[int(max(0.0, start - 0.3) * rate) : int((end + 0.5) * rate)]
    step = rate // 16_000
    narrow = piece[: len(piece) // step * step].reshape(-1, step).mean(axis=1).astype("<i2")
    recogniser = HearingModels.load(models_folder(None)).recogniser
    heard = recogniser.transcribe(narrow.tobytes()).text
    errors = word_error_rate(" ".join(played), heard) * len(played)
    assert errors <= 2, (played, heard, cut["played_text"])
