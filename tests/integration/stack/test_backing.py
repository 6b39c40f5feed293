"""Processes that are started before what they need: they wait, within a bound, and heed the order to stop."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from uuid import uuid4

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from temporalio.client import Client

from activities.store.engine import create_engine
from activities.store.roles import RoleTooMighty
from domain.errors import StoreUnavailable
from migrations import versions
from ops.bootstrap import Addresses, prepare_database
from ops.devstack.postgres import EmbeddedPostgres
from ops.devstack.temporal import TemporalServer, free_port
from ops.processes.backing import DatabaseNotPrepared, backed, revisions
from ops.processes.temporal_client import TemporalUnreachable
from ops.roles import APP_ROLE
from ops.settings import Settings
from tests.temporal_fixtures import PAYLOAD_KEY

HEEDED_S_MAX = 5.0
PREPARED_S_MAX = 60.0


def settings_for(database_url: str, temporal_address: str, *, start_wait_s: float) -> Settings:
    return Settings(
        database_url=SecretStr(database_url),
        temporal_address=temporal_address,
        payload_key=SecretStr(base64.b64encode(PAYLOAD_KEY).decode()),
        control_secret=SecretStr("a secret of the tests"),
        models_dir=Path(),
        recordings_dir=Path(),
        start_wait_s=start_wait_s,
    )


async def wait_for_backing(settings: Settings, stop: asyncio.Event | None = None) -> Client | None:
    engine = create_engine(settings.database_url.get_secret_value())
    try:
        return await backed(settings, engine, stop or asyncio.Event())
    finally:
        await engine.dispose()


async def test_a_database_that_is_prepared_later_is_waited_for(
    postgres: EmbeddedPostgres, temporal_server: TemporalServer
) -> None:
    # Given a process whose database does not exist
    database = f"vivavoce_{uuid4().hex[:12]}"
    url = postgres.url(user=APP_ROLE, database=database)
    settings = settings_for(url, temporal_server.address, start_wait_s=PREPARED_S_MAX)
    waiting = asyncio.create_task(wait_for_backing(settings))

    # When it is made and migrated while the process waits
    done, _ = await asyncio.wait({waiting}, timeout=0.5)
    assert not done
    await prepare_database(postgres.superuser_url, database=database)

    # Then the process goes on
    assert await asyncio.wait_for(waiting, PREPARED_S_MAX) is not None


async def test_a_database_that_is_never_prepared_is_told_by_name(
    postgres: EmbeddedPostgres, temporal_server: TemporalServer
) -> None:
    url = postgres.url(user=APP_ROLE, database="vivavoce_nowhere")

    with pytest.raises(DatabaseNotPrepared, match=r"found revision none, need \d+"):
        await wait_for_backing(settings_for(url, temporal_server.address, start_wait_s=0.3))


async def test_a_database_that_may_not_be_entered_yet_is_not_prepared(
    postgres: EmbeddedPostgres, temporal_server: TemporalServer
) -> None:
    # Given a database as it is for a moment while it is made
    database = f"vivavoce_{uuid4().hex[:12]}"
    await prepare_database(postgres.superuser_url, database=database)
    admin = create_engine(postgres.superuser_url).execution_options(isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.exec_driver_sql(f"revoke connect on database {database} from {APP_ROLE}")
    await admin.dispose()

    url = postgres.url(user=APP_ROLE, database=database)
    with pytest.raises(DatabaseNotPrepared):
        await wait_for_backing(settings_for(url, temporal_server.address, start_wait_s=0.3))


async def test_a_server_that_does_not_answer_is_told_so_after_the_wait(
    tmp_path: Path, temporal_server: TemporalServer
) -> None:
    url = f"postgresql://{APP_ROLE}@/vivavoce?host={tmp_path}"

    with pytest.raises(StoreUnavailable):
        await wait_for_backing(settings_for(url, temporal_server.address, start_wait_s=0.3))


async def test_a_mighty_role_is_refused_without_a_wait(
    addresses: Addresses, temporal_server: TemporalServer
) -> None:
    settings = settings_for(addresses.admin_url, temporal_server.address, start_wait_s=PREPARED_S_MAX)

    async with asyncio.timeout(HEEDED_S_MAX):
        with pytest.raises(RoleTooMighty):
            await wait_for_backing(settings)


async def test_temporal_is_waited_for_within_the_bound(addresses: Addresses) -> None:
    settings = settings_for(addresses.app_url, f"127.0.0.1:{free_port()}", start_wait_s=0.5)

    with pytest.raises(TemporalUnreachable):
        await wait_for_backing(settings)


@pytest.mark.parametrize("database", ["vivavoce_nowhere", None], ids=["database", "temporal"])
async def test_the_order_to_stop_ends_the_wait(
    addresses: Addresses, postgres: EmbeddedPostgres, database: str | None
) -> None:
    # Given a process that waits for its database, or for Temporal
    url = addresses.app_url if database is None else postgres.url(user=APP_ROLE, database=database)
    stop = asyncio.Event()
    settings = settings_for(url, f"127.0.0.1:{free_port()}", start_wait_s=600)
    waiting = asyncio.create_task(wait_for_backing(settings, stop))
    done, _ = await asyncio.wait({waiting}, timeout=0.3)
    assert not done

    # When it is told to stop
    stop.set()

    # Then it ends, and did not begin
    assert await asyncio.wait_for(waiting, HEEDED_S_MAX) is None


def test_the_revisions_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(versions.__file__).parents[1]))
    config.set_main_option("path_separator", "newline")
    scripts = ScriptDirectory.from_config(config).walk_revisions()

    assert revisions() == tuple(reversed([script.revision for script in scripts]))
