"""The embedded Postgres of a data folder, and a pool of connections to it as the application role."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.engine import create_engine
from activities.store.roles import check_role
from ops.bootstrap import ensure_api_key, ensure_tenant, prepare_database
from ops.devstack.postgres import EmbeddedPostgres
from ops.roles import APP_ROLE, DATABASE
from ops.stack.environment import Secrets
from ops.stack.folder import DataFolder

CLI_CONNECTIONS_MAX = 2


async def prepare(folder: DataFolder, secrets: Secrets) -> None:
    """Roles, migrations, the tenant and its API key. The server must be held by somebody."""
    addresses = await prepare_database(EmbeddedPostgres(folder.postgres).superuser_url)
    await ensure_tenant(addresses.admin_url, secrets.tenant, name="this installation")
    await ensure_api_key(addresses.admin_url, secrets.tenant, key=secrets.api_key, name="start page and CLI")


@asynccontextmanager
async def database(
    folder: DataFolder, secrets: Secrets, *, connections_max: int = CLI_CONNECTIONS_MAX
) -> AsyncIterator[AsyncEngine]:
    """A command's own use of the database, whether or not the stack runs: the server is started for as long
    as the command takes, or shared with whoever holds it already. Raises RoleTooMighty before anything is
    read."""
    server = EmbeddedPostgres(folder.postgres)
    await asyncio.to_thread(server.start)
    try:
        run = folder.run() if folder.held() else None
        if run is None or not run.ready:
            await prepare(folder, secrets)
        engine = create_engine(
            server.url(user=APP_ROLE, database=DATABASE),
            application_name="vivavoce-cli",
            connections_max=connections_max,
        )
        try:
            await check_role(engine)
            yield engine
        finally:
            await engine.dispose()
    finally:
        await asyncio.to_thread(server.close)
