"""Calls on the real stack whose database goes away:
the caller sees a face that moves, and hears nothing that is not on the record."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from ops.devstack.postgres import EmbeddedPostgres
from tests.calls import BRIEF, Say, recordings, running_stack
from tests.crash.caller import calling
from tests.crash.records import assert_one_fate_each, assert_one_session
from tests.stack import RunningStack, payloads

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MESSAGES_MAX = 20
AWAY_S = 3.0
ANSWERED_WITHIN_S = 30.0
# The aim is 120 ms, on a machine that does nothing else. This is what one meets that does other work beside,
# and a sixth of what a wait for the database would be.
GAP_MS_MAX = 500


@pytest.fixture(scope="module")
def running() -> Iterator[RunningStack]:
    yield from running_stack(continue_as_new_messages=MESSAGES_MAX)


@pytest.fixture(scope="module")
def say(tmp_path_factory: pytest.TempPathFactory, running: RunningStack) -> Say:
    return recordings(tmp_path_factory.mktemp("recordings"))


async def test_frames_go_on_without_a_database_and_nothing_unrecorded_is_heard(
    running: RunningStack, say: Say
) -> None:
    # Given a call whose persona has greeted and listens
    question = say("complaints", "What about complaints?")
    server = EmbeddedPostgres(running.folder / "postgres")
    loop = asyncio.get_running_loop()
    async with calling(running, BRIEF) as caller:
        # When Postgres is stopped, and a question is asked before it is started again
        await asyncio.to_thread(server.interrupt)
        gone_s = loop.time()
        try:
            spoken = await caller.say(question)
            await asyncio.sleep(gone_s + AWAY_S - loop.time())
            back_s = loop.time()
        finally:
            await asyncio.to_thread(server.resume)
        assert gone_s < spoken.last_s < back_s

        # Then an answer is heard when it is back
        reply = await caller.ear.reply_after(gone_s, within_s=ANSWERED_WITHIN_S)
        assert reply is not None
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            await caller.until_said()
    # And nothing was heard before, while the face moved on and sound that is silence kept coming
    assert caller.heard_between(gone_s, back_s) == []
    gap_ms = caller.eye.longest_gap_ms(gone_s, back_s)
    print(f"longest gap between pictures without a database: {gap_ms:.0f} ms")  # noqa: T201 - for people
    assert gap_ms < GAP_MS_MAX
    # And it is the right one, for which the documents were asked for until they could be looked through
    events = running.events(caller.conversation_id)
    committed = {p["sentence_id"]: p["text"] for p in payloads(events, "sentence.committed")}
    said = " ".join(committed[p["sentence_id"]] for p in payloads(events, "sentence.played"))
    assert "eight weeks" in said
    (looked,) = payloads(events, "retrieval.performed")
    assert looked["outcome"] == "found"
    assert looked["attempts"] > 1
    assert_one_session(events)
    assert_one_fate_each(events)
    (sealed,) = payloads(events, "conversation.sealed")
    assert (sealed["capture"], sealed["count"]) == ("complete", len(events) - 1)
