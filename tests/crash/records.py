"""What the record of a call must hold, whatever was taken away under it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from temporalio.client import Client

from tests.stack import RunningStack, payloads


async def runs_of(running: RunningStack, conversation: str) -> int:
    address = json.loads((running.folder / "run.json").read_text())["temporal_address"]
    client = await Client.connect(address)
    return len([run async for run in client.list_workflows(f"WorkflowId = '{conversation}'")])


def assert_one_session(events: list[dict[str, Any]]) -> None:
    """However often the workflow continued as new."""
    assert len(payloads(events, "media.assigned")) == 1
    assert payloads(events, "media.lost") == []
    assert {event["session_epoch"] for event in events if event["actor"]["kind"] == "media_worker"} == {1}


def assert_one_fate_each(events: list[dict[str, Any]]) -> None:
    fates = Counter(
        event["payload"]["sentence_id"]
        for event in events
        if event["type"] in ("sentence.played", "sentence.interrupted")
    )
    assert fates == Counter(p["sentence_id"] for p in payloads(events, "sentence.committed"))
