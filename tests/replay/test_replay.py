"""Workflows decide what they decided: every recorded history replays, and a false one does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from ops.processes.workflow_worker import workflow_runner
from tests.replay.record import HISTORIES, KNOWN_BAD, SCENARIOS
from tests.temporal_fixtures import PAYLOAD_KEY
from workflows.codec import encrypted_data_converter
from workflows.conversation import ConversationWorkflow
from workflows.media_session import MediaSessionWorkflow

RECORDED = sorted(HISTORIES.glob("*.json"))


def _replayer() -> Replayer:
    return Replayer(
        workflows=[ConversationWorkflow, MediaSessionWorkflow],
        workflow_runner=workflow_runner(),
        data_converter=encrypted_data_converter(PAYLOAD_KEY),
    )


def _read(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text())


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    await _replayer().replay_workflow(_read(path))


def test_every_scenario_has_been_recorded_with_both_of_its_workflows() -> None:
    names = {path.stem for path in RECORDED}

    for scenario in SCENARIOS:
        assert {f"{scenario.__name__}-conversation-1", f"{scenario.__name__}-media-1"} <= names
    assert "continued_as_new-conversation-3" in names


async def test_a_history_that_the_workflow_would_not_have_made_is_refused() -> None:
    with pytest.raises(NondeterminismError):
        await _replayer().replay_workflow(_read(KNOWN_BAD))


def test_the_known_bad_history_differs_from_a_good_one_in_one_place() -> None:
    bad = json.loads(KNOWN_BAD.read_text())["events"]
    good = json.loads((HISTORIES / "hung_up-conversation-1.json").read_text())["events"]

    assert [event["eventId"] for event in bad] == [event["eventId"] for event in good]
    assert sum(one != other for one, other in zip(bad, good, strict=True)) == 1
