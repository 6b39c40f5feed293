"""A call whose processes are killed under it, on the real stack: it goes on, and its record is whole.

The workflow continues as new after every few messages here, so that each call crosses that border too.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from domain.events.catalogue import TrackKind
from ops.devstack.postgres import EmbeddedPostgres
from tests.calls import BRIEF, Say, recordings, running_stack
from tests.crash.records import assert_one_fate_each, assert_one_session, runs_of
from tests.e2e.call.form import assert_failed
from tests.stack import STOP_WITHIN_S, RunningStack, finished, payloads, processes_of, restarted, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MESSAGES_MAX = 5
AWAY_S = 3.0
# No gap that anything outside brings about is as long; one of this length would be a wait.
FREEZE_MS = 2_000
# Many times what an answer takes, and less than a worker takes to start.
ANSWER_MS_MAX = 5_000
Break = Callable[[RunningStack], None]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningStack]:
    yield from running_stack(continue_as_new_messages=MESSAGES_MAX, sweep_interval_s=1)


@pytest.fixture(scope="module")
def say(tmp_path_factory: pytest.TempPathFactory, running: RunningStack) -> Say:
    return recordings(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("persona") / "persona.yaml"
    path.write_text(BRIEF)
    return path


def kill_workflows(running: RunningStack) -> None:
    running.kill("workflows")


def kill_api(running: RunningStack) -> None:
    running.kill("api")


def take_postgres_away(running: RunningStack) -> None:
    server = EmbeddedPostgres(running.folder / "postgres")
    server.interrupt()
    time.sleep(AWAY_S)
    server.resume()


@pytest.mark.parametrize("breaking", [kill_workflows, kill_api, take_postgres_away])
def test_a_call_goes_on_and_its_record_is_whole(
    running: RunningStack, say: Say, brief: Path, breaking: Break
) -> None:
    # Given a call in which the persona answers the first of two questions
    first = say("first", "How long do I have to report a burst pipe?")
    second = say("second", "What about complaints?")
    call = running.call("--persona", str(brief), "--audio", str(first), "--audio", str(second))
    conversation = running.until_event("utterance.transcribed")

    # When something is taken away under it
    breaking(running)

    # Then both questions were heard and answered, once, in one media session, and the record is sealed whole
    shown = finished(call)
    assert shown["conversation_id"] == conversation
    events = running.events(conversation)
    assert len(payloads(events, "utterance.transcribed")) == 2
    assert "eight weeks" in shown["transcript"][-1]["played_text"]
    assert [reply["finish"] for reply in payloads(events, "reply.generated")] == ["complete", "complete"]
    assert_one_session(events)
    assert_one_fate_each(events)
    (sealed,) = payloads(events, "conversation.sealed")
    assert (sealed["capture"], sealed["count"]) == ("complete", len(events) - 1)
    # And the workflow continued as new meanwhile
    assert asyncio.run(runs_of(running, conversation)) > 1
    # And frames went on: the figure is for people to read, since a busy machine makes gaps of its own
    print(f"longest gap between pictures: {shown['video']['longest_gap_ms']} ms")  # noqa: T201
    assert shown["video"]["longest_gap_ms"] < FREEZE_MS


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_stack_that_is_told_to_stop_in_mid_call_leaves_no_process(say: Say, brief: Path) -> None:
    # Given a stack with a call under way
    starting = running_stack()
    own = next(starting)
    call = own.call("--persona", str(brief), "--audio", str(say("last", "What about complaints?")))
    own.until_event("participant.joined")

    # When it gets SIGTERM
    own.process.terminate()

    # Then everything ends, the caller with a sentence and not with a traceback
    assert own.process.wait(STOP_WITHIN_S) == 0
    out, err = call.communicate(timeout=120)
    assert call.returncode in (0, 1)
    if call.returncode == 1:
        assert_failed(json.loads(out))
    assert "Traceback" not in out + err
    until(lambda: processes_of(own.folder) == {}, within_s=30)
    assert list(starting) == []


def test_a_killed_media_worker_is_noticed_and_replaced(running: RunningStack, say: Say, brief: Path) -> None:
    # Given a call in which the persona is about to answer
    first = say("pipe", "How long do I have to report a burst pipe?")
    call = running.call("--persona", str(brief), "--audio", str(first))
    conversation = running.until_event("utterance.transcribed")

    # When the only media worker is killed, and started again
    running.kill("media")
    until(lambda: restarted(running.ask("status"), "media"), within_s=90)

    # Then the caller came back, asked again what had not been answered to the end, and was answered
    shown = finished(call, within_s=240)
    assert shown["conversation_id"] == conversation
    assert "thirty days" in shown["transcript"][-1]["played_text"]
    [latency] = shown["latency_ms"]["each"]
    assert latency < ANSWER_MS_MAX
    # And what was said to the second worker stands behind what the first one heard, in the call's own time
    words = [word for row in shown["transcript"] for word in row["words"]]
    assert [word["start_s"] for word in words] == sorted(word["start_s"] for word in words)
    # (how far the sentence had come that was cut off with the worker, nobody can say)
    rows = [row for row in shown["transcript"] if row["words"]]
    for row in rows:
        began_s = (instant(row["started_at"]) - instant(rows[0]["started_at"])).total_seconds()
        assert row["words"][0]["start_s"] - rows[0]["words"][0]["start_s"] == pytest.approx(began_s, abs=1.0)
    # And the workflow saw it, and the record is sealed and honest
    events = running.events(conversation)
    assert len(payloads(events, "participant.joined")) == 1
    connections = [p["connection"] for p in payloads(events, "media.connected")]
    assert len(connections) == len(set(connections)) > 1
    assert [lost["reason"] for lost in payloads(events, "media.lost")][:1] in (
        ["heartbeat_timeout"],
        ["worker_failed"],
    )
    assert len(payloads(events, "media.assigned")) > 1
    # And what the first worker was recording is in the record too, as cut: no file lies there unnamed
    segments = payloads(events, "recording.segment_sealed")
    folder = running.folder / "recordings" / conversation
    assert {segment["file"] for segment in segments} == {f"{conversation}/{p.name}" for p in folder.iterdir()}
    assert {segment["track"] for segment in segments if segment["cut"]} == set(TrackKind)
    assert events[-1]["type"] == "conversation.sealed"
