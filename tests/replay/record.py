"""Records histories of the workflows as they decide today: `python -m tests.replay.record`.

Run it when a workflow is given something new to decide, and add the new files. A file that stands in
`histories` is never replaced: calls that began under an earlier release are still running when the next one
starts, and it must decide what they decided. When a workflow changes so that an old history would not replay,
keep the old path behind `workflow.patched`.

Each scenario gives one file per run: NAME-conversation-1.json, NAME-media-1.json and so on. Payloads in them
are encrypted with the key of the tests.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from uuid import uuid4

from activities.store.engine import create_engine
from activities.store.event_store import PostgresEventStore
from domain.errors import StaleEpoch
from domain.ids import ConversationId, TenantId, conversation_stream
from domain.ports import Fact, FactKind
from ops.bootstrap import ensure_tenant, prepare_database
from ops.devstack.postgres import EmbeddedPostgres
from ops.devstack.temporal import TemporalServer
from ops.processes.workflow_worker import workflow_worker
from tests.fakes.media_host import FakeMediaHost
from tests.temporal_fixtures import World, connect, eventually, media_process
from workflows.contracts import MEDIA_SESSION_WORKFLOW, SIGNAL_FACTS, MediaFacts

HISTORIES = Path(__file__).parent / "histories"
KNOWN_BAD = HISTORIES / "known_bad" / "another_activity_was_scheduled.json"
EVERY = 10

Scenario = Callable[[World, FakeMediaHost], Awaitable[ConversationId]]


async def hung_up(world: World, host: FakeMediaHost) -> ConversationId:
    conversation_id = await world.start()
    session = await world.live(host, conversation_id)
    session.report(Fact(FactKind.ACTIVITY))
    host.hang_up(session)
    return conversation_id


async def ended_by_command(world: World, host: FakeMediaHost) -> ConversationId:
    conversation_id = await world.start()
    await world.live(host, conversation_id)
    await world.end(conversation_id)
    return conversation_id


async def left_and_returned_and_left(world: World, host: FakeMediaHost) -> ConversationId:
    conversation_id = await world.start(participant_left_timeout=2)
    session = await world.live(host, conversation_id)

    async def connected() -> bool:
        return (await world.status(conversation_id)).connected

    async def gone() -> bool:
        return not await connected()

    session.report(Fact(FactKind.PARTICIPANT_DISCONNECTED))
    await eventually(gone)
    await host.connect(session)
    await eventually(connected)
    session.report(Fact(FactKind.PARTICIPANT_DISCONNECTED))
    return conversation_id


async def no_worker(world: World, host: FakeMediaHost) -> ConversationId:
    host.places = 0
    conversation_id = await world.start(reassign_timeout=1)
    await world.outcome(conversation_id)
    host.places = 8
    return conversation_id


async def no_place_in_time(world: World, host: FakeMediaHost) -> ConversationId:
    host.places = 0
    conversation_id = await world.start(reassign_timeout=3)
    await world.outcome(conversation_id)
    host.places = 8
    return conversation_id


async def waited_for_a_place(world: World, host: FakeMediaHost) -> ConversationId:
    host.places = 0
    conversation_id = await world.start()
    await eventually(lambda: _waits(world, conversation_id))
    host.places = 8
    host.hang_up(await world.live(host, conversation_id))
    return conversation_id


async def ended_while_it_waited(world: World, host: FakeMediaHost) -> ConversationId:
    host.places = 0
    conversation_id = await world.start(reassign_timeout=60)
    await eventually(lambda: _waits(world, conversation_id))
    await world.end(conversation_id)
    await world.outcome(conversation_id)
    host.places = 8
    return conversation_id


async def ended_before_a_worker_came(world: World, host: FakeMediaHost) -> ConversationId:
    host.places = 0
    conversation_id = await world.start(reassign_timeout=60)
    await eventually(lambda: _known(world, conversation_id))
    await world.end(conversation_id)
    await world.outcome(conversation_id)
    host.places = 8
    return conversation_id


async def failed_and_replaced(world: World, host: FakeMediaHost) -> ConversationId:
    conversation_id = await world.start()
    session = await world.live(host, conversation_id)
    session.fail_with = StaleEpoch(conversation_stream(conversation_id), epoch=1, current=1)
    session.over.set()
    second = await world.session(host, conversation_id, epoch=2)
    second.fail_with = _Broken("no audio")
    second.over.set()
    third = await world.session(host, conversation_id, epoch=3)
    await host.connect(third)
    host.hang_up(third)
    return conversation_id


async def never_drained(world: World, host: FakeMediaHost) -> ConversationId:
    host.stuck = True
    conversation_id = await world.start()
    session = await world.live(host, conversation_id)
    await world.end(conversation_id)
    await world.outcome(conversation_id)
    host.stuck = False
    await eventually(lambda: session.silenced)
    return conversation_id


async def continued_as_new(world: World, host: FakeMediaHost) -> ConversationId:
    conversation_id = await world.start(continue_after_messages=EVERY)
    await world.live(host, conversation_id)
    publisher = uuid4()
    for sequence in range(1, 2 * EVERY + 3):
        facts = (Fact(FactKind.ACTIVITY),)
        batch = MediaFacts(epoch=1, publisher=publisher, sequence=sequence, facts=facts)
        await world.handle(conversation_id).signal(SIGNAL_FACTS, batch)
    await world.end(conversation_id)
    return conversation_id


class _Broken(StaleEpoch):
    """Any failure of a session that is not a refusal."""

    code = "broken"

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)


SCENARIOS: tuple[Scenario, ...] = (
    hung_up,
    ended_by_command,
    left_and_returned_and_left,
    no_worker,
    ended_before_a_worker_came,
    failed_and_replaced,
    never_drained,
    continued_as_new,
    no_place_in_time,
    waited_for_a_place,
    ended_while_it_waited,
)


async def _waits(world: World, conversation_id: ConversationId) -> bool:
    """Whether the record says that no worker took it."""
    return "media.unavailable" in await world.types(conversation_id)


async def _known(world: World, conversation_id: ConversationId) -> bool:
    """Whether the media session has been started."""
    return bool(await world.media_sessions(conversation_id))


async def _save(world: World, name: str, conversation_id: ConversationId) -> None:
    await eventually(lambda: _all_closed(world, conversation_id))
    runs = [one async for one in world.client.list_workflows() if one.id.startswith(str(conversation_id))]
    counts = {"conversation": 0, "media": 0}
    for run in sorted(runs, key=lambda one: one.start_time):
        kind = "media" if run.workflow_type == MEDIA_SESSION_WORKFLOW else "conversation"
        counts[kind] += 1
        history = await world.client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        _write(HISTORIES / f"{name}-{kind}-{counts[kind]}.json", history.to_json_dict())


def _write(path: Path, history: Mapping[str, object]) -> None:
    """Without the name of the machine that recorded it."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(_nameless(history), indent=1) + "\n")


def _nameless(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: "recorded" if key == "identity" else _nameless(each) for key, each in value.items()}
    return [_nameless(each) for each in value] if isinstance(value, list) else value


def _falsify() -> None:
    """One history that no release of the workflow would have made."""
    history = json.loads((HISTORIES / "hung_up-conversation-1.json").read_text())
    scheduled = [event.get("activityTaskScheduledEventAttributes") for event in history["events"]]
    started = next(each for each in scheduled if each and each["activityType"]["name"] == "append_started")
    started["activityType"]["name"] = "append_media_lost"
    _write(KNOWN_BAD, history)


async def _all_closed(world: World, conversation_id: ConversationId) -> bool:
    runs = [one async for one in world.client.list_workflows() if one.id.startswith(str(conversation_id))]
    return len(runs) >= 2 and all(one.close_time is not None for one in runs)


async def main() -> None:
    HISTORIES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres") as postgres:
        addresses = await prepare_database(postgres.superuser_url)
        tenant_id = TenantId(uuid4())
        await ensure_tenant(addresses.admin_url, tenant_id, name="recordings")
        engine = create_engine(addresses.app_url, application_name="recordings")
        store = PostgresEventStore(engine)
        server = await TemporalServer.start(Path(folder) / "temporal")
        world = World(await connect(server.address), store, tenant_id)
        host = FakeMediaHost(store, places=8)
        async with workflow_worker(world.client, store), media_process(world.client, host, store):
            for scenario in SCENARIOS:
                if any(HISTORIES.glob(f"{scenario.__name__}-*.json")):
                    continue
                conversation_id = await scenario(world, host)
                await world.outcome(conversation_id)
                await _save(world, scenario.__name__, conversation_id)
                sys.stdout.write(f"recorded {scenario.__name__}\n")
        await server.stop()
        await engine.dispose()
    _falsify()


if __name__ == "__main__":
    asyncio.run(main())
