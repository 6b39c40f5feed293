"""Starting and ending the workflows of conversations, on a real Temporal."""

from __future__ import annotations

import socket
from uuid import uuid4

import pytest
from temporalio.client import Client

from domain.events.catalogue import ConversationEnded
from domain.events.envelope import Actor, ActorKind
from domain.ids import ConversationId
from ops.api import runs
from ops.api.ports import WorkflowsUnavailable
from ops.api.runs import TemporalRuns
from tests.temporal_fixtures import PAYLOAD_KEY, World, eventually
from workflows.codec import encrypted_data_converter
from workflows.contracts import CONVERSATION_WORKFLOW

KEY_ID = uuid4()


@pytest.fixture
def temporal_runs(temporal_client: Client) -> TemporalRuns:
    return TemporalRuns(temporal_client, continue_after_messages=1000)


async def test_a_start_that_is_repeated_begins_one_workflow(
    temporal_runs: TemporalRuns, running: World
) -> None:
    conversation_id = await running.request()

    await temporal_runs.start(running.tenant_id, conversation_id)
    await temporal_runs.start(running.tenant_id, conversation_id)

    await eventually(lambda: running.types(conversation_id))
    described = await running.handle(conversation_id).describe()
    assert described.workflow_type == CONVERSATION_WORKFLOW
    assert (await running.status(conversation_id)).epoch >= 0


async def test_an_ended_conversation_is_sealed_and_is_not_begun_again(
    temporal_runs: TemporalRuns, running: World
) -> None:
    conversation_id = await running.request()
    await temporal_runs.start(running.tenant_id, conversation_id)

    await temporal_runs.end(running.tenant_id, conversation_id, asked_by=KEY_ID)

    await running.outcome(conversation_id)
    first_run = (await running.handle(conversation_id).describe()).run_id
    await temporal_runs.start(running.tenant_id, conversation_id)
    assert (await running.handle(conversation_id).describe()).run_id == first_run
    assert (await running.types(conversation_id))[-1] == "conversation.sealed"


async def test_ending_before_the_workflow_began_begins_and_ends_it(
    temporal_runs: TemporalRuns, running: World
) -> None:
    conversation_id = await running.request()

    await temporal_runs.end(running.tenant_id, conversation_id, asked_by=KEY_ID)

    outcome = await running.outcome(conversation_id)
    assert outcome.end_reason == "requested"


async def test_the_record_says_which_program_asked_for_the_end(
    temporal_runs: TemporalRuns, running: World
) -> None:
    # Given a conversation that one program ends, and a second one asks for the same a moment later
    conversation_id = await running.request()
    await temporal_runs.start(running.tenant_id, conversation_id)
    await temporal_runs.end(running.tenant_id, conversation_id, asked_by=KEY_ID)
    await temporal_runs.end(running.tenant_id, conversation_id, asked_by=uuid4())
    await running.outcome(conversation_id)

    # Then the end is the first one's, by the id of its API key, and the seal is the workflow's
    *_, ended, sealed = await running.events(conversation_id)
    assert isinstance(ended.payload, ConversationEnded)
    assert ended.actor == Actor(kind=ActorKind.SERVICE, id=str(KEY_ID))
    assert sealed.actor == Actor(kind=ActorKind.WORKFLOW, id=str(conversation_id))


async def test_ending_a_sealed_conversation_changes_nothing(
    temporal_runs: TemporalRuns, running: World
) -> None:
    conversation_id = await running.request()
    await temporal_runs.end(running.tenant_id, conversation_id, asked_by=KEY_ID)
    await running.outcome(conversation_id)
    before = await running.types(conversation_id)

    await temporal_runs.end(running.tenant_id, conversation_id, asked_by=KEY_ID)

    await running.outcome(conversation_id)
    assert await running.types(conversation_id) == before


async def test_temporal_away_is_said_within_the_bound(world: World) -> None:
    away = await Client.connect(
        "127.0.0.1:9", data_converter=encrypted_data_converter(PAYLOAD_KEY), lazy=True
    )
    unreached = TemporalRuns(away, continue_after_messages=1000)

    with pytest.raises(WorkflowsUnavailable):
        await unreached.start(world.tenant_id, ConversationId(uuid4()))
    with pytest.raises(WorkflowsUnavailable):
        await unreached.end(world.tenant_id, ConversationId(uuid4()), asked_by=KEY_ID)
    assert await unreached.ready() is False


async def test_a_temporal_that_accepts_and_says_nothing_is_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "START_S_MAX", 0.2)
    monkeypatch.setattr(runs, "END_S_MAX", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stuck = await Client.connect(
            f"127.0.0.1:{silent.getsockname()[1]}",
            data_converter=encrypted_data_converter(PAYLOAD_KEY),
            lazy=True,
        )
        temporal_runs = TemporalRuns(stuck, continue_after_messages=1000)

        with pytest.raises(WorkflowsUnavailable):
            await temporal_runs.start(world.tenant_id, ConversationId(uuid4()))
        with pytest.raises(WorkflowsUnavailable):
            await temporal_runs.end(world.tenant_id, ConversationId(uuid4()), asked_by=KEY_ID)


async def test_temporal_there_is_ready(temporal_runs: TemporalRuns) -> None:
    assert await temporal_runs.ready() is True
