"""A media process without media, for tests that kill it. The participant connects at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from uuid import UUID

from activities.store.engine import create_engine
from activities.store.event_store import PostgresEventStore
from domain.ids import WorkerId
from domain.ports import Drain, Drained, Fact, FactKind, SessionSpec
from ops.processes.temporal_client import connect
from ops.settings import Settings
from tests.fakes.media_host import FakeMediaHost
from tests.temporal_fixtures import media_process


class ConnectingHost(FakeMediaHost):
    async def run(self, spec: SessionSpec, *, drain: Drain, report: Callable[[Fact], None]) -> Drained:
        report(Fact(FactKind.PARTICIPANT_CONNECTED))
        return await super().run(spec, drain=drain, report=report)


async def main() -> None:
    settings = Settings()
    engine = create_engine(settings.database_url.get_secret_value(), application_name="tests media")
    store = PostgresEventStore(engine)
    host = ConnectingHost(store)
    host.worker_id = WorkerId(UUID(os.environ["TEST_WORKER_ID"]))
    async with media_process(await connect(settings), host, store):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
