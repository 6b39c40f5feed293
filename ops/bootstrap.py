"""From an empty server to one that the processes can use: roles, database, migrations, a tenant, a key.

Safe to run again and by several at once. The given address is an administrator's (a superuser, or a role
that may create roles and databases); the address that comes back is the application role's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import uuid4

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

import migrations
from activities.store.access import secret_hash
from activities.store.engine import CONNECT_TIMEOUT_S, asyncpg_url
from activities.store.failures import store_failures
from domain.errors import InvalidInput
from domain.ids import TenantId
from ops.roles import APP_ROLE, DATABASE, GATE_ROLE, OWNER_ROLE, SEQUENCER_ROLE

# Two that migrate at once take turns. The number is arbitrary and the same in every release.
MIGRATION_LOCK = 7_215_118_301
MIGRATION_WAIT_S = 120


class DatabaseIsNewer(InvalidInput):
    """A later release has migrated this database."""

    code = "database_is_newer"


class DatabaseIsNotOurs(InvalidInput):
    """A database of this name is somebody else's."""

    code = "database_is_not_ours"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Of one prepared database. `app_url` is for the processes, `sequencer_url` for the sequencer alone,
    `admin_url` for bootstrap and backups."""

    app_url: str
    sequencer_url: str
    admin_url: str


async def prepare_database(
    admin_url: str,
    *,
    database: str = DATABASE,
    app_password: str | None = None,
    sequencer_password: str | None = None,
    wait_s: float = MIGRATION_WAIT_S,
) -> Addresses:
    """Creates what is missing and migrates to the newest revision.

    The passwords are for servers that ask for one; the embedded server trusts its own socket. Another that
    prepares a database of this server is waited for, `wait_s` at most.
    Raises StoreUnavailable, DatabaseIsNewer or DatabaseIsNotOurs.
    """
    maintenance = make_url(admin_url)
    target = maintenance.set(database=database)
    async with _connection(maintenance, isolation_level="AUTOCOMMIT") as admin:
        await admin.execute(text(f"set lock_timeout = {int(wait_s * 1000)}"))
        await admin.execute(text("select pg_advisory_lock(:number)"), {"number": MIGRATION_LOCK})
        await _create_roles(admin, {APP_ROLE: app_password, SEQUENCER_ROLE: sequencer_password})
        await _create_database(admin, database)
        async with _connection(target) as connection:
            await _migrate(connection, database)
    app = target.set(username=APP_ROLE, password=app_password)
    sequencer = target.set(username=SEQUENCER_ROLE, password=sequencer_password)
    return Addresses(
        app_url=app.render_as_string(hide_password=False),
        sequencer_url=sequencer.render_as_string(hide_password=False),
        admin_url=target.render_as_string(hide_password=False),
    )


async def ensure_tenant(admin_url: str, tenant_id: TenantId, *, name: str) -> None:
    """`admin_url` is that of the prepared database. A tenant that is there keeps its name."""
    await _insert_as_owner(
        admin_url,
        tenant_id,
        "insert into public.tenants (tenant_id, name) values (:tenant_id, :name) on conflict do nothing",
        {"name": name},
    )


async def ensure_api_key(admin_url: str, tenant_id: TenantId, *, key: str, name: str) -> None:
    """Admits a key that the caller made (`activities.store.access.new_api_key`); only its hash is stored."""
    await _insert_as_owner(
        admin_url,
        tenant_id,
        "insert into public.api_keys (tenant_id, key_id, name, key_hash)"
        " values (:tenant_id, :key_id, :name, :key_hash) on conflict (key_hash) do nothing",
        {"key_id": uuid4(), "name": name, "key_hash": secret_hash(key)},
    )


@asynccontextmanager
async def _connection(
    url: URL, *, isolation_level: Literal["AUTOCOMMIT", "READ COMMITTED"] = "READ COMMITTED"
) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(
        asyncpg_url(url.render_as_string(hide_password=False)),
        poolclass=NullPool,
        isolation_level=isolation_level,
        connect_args={"timeout": CONNECT_TIMEOUT_S},
    )
    try:
        with store_failures():
            async with engine.connect() as connection:
                yield connection
    finally:
        await engine.dispose()


async def _create_roles(admin: AsyncConnection, passwords: Mapping[str, str | None]) -> None:
    """`passwords` are of the roles that log in."""
    for role in (OWNER_ROLE, GATE_ROLE, *passwords):
        found = await admin.scalar(text("select 1 from pg_roles where rolname = :role"), {"role": role})
        if found is None:
            await admin.execute(text(f"create role {role} {'login' if role in passwords else 'nologin'}"))
    for role, password in passwords.items():
        if password is None:
            continue
        # A role's password cannot be bound as a parameter; the server itself quotes it.
        statement = await admin.scalar(
            text("select format('alter role %I password %L', cast(:role as text), cast(:password as text))"),
            {"role": role, "password": password},
        )
        await admin.exec_driver_sql(str(statement))
    # The owner hands the gate's functions over to it, which takes membership.
    await admin.execute(text(f"grant {GATE_ROLE} to {OWNER_ROLE}"))
    if not await admin.scalar(text("select rolsuper from pg_roles where rolname = current_user")):
        await admin.execute(text(f"grant {OWNER_ROLE} to current_user"))


async def _create_database(admin: AsyncConnection, database: str) -> None:
    owner = await admin.scalar(
        text("select pg_get_userbyid(datdba) from pg_database where datname = :database"),
        {"database": database},
    )
    if owner is None:
        name = await admin.scalar(text("select quote_ident(:database)"), {"database": database})
        await admin.exec_driver_sql(f"create database {name} owner {OWNER_ROLE}")
        await admin.exec_driver_sql(f"revoke all on database {name} from public")
    elif owner != OWNER_ROLE:
        raise DatabaseIsNotOurs(
            f"the database {database} belongs to the role {owner}:"
            f" name another one, or give it to {OWNER_ROLE}"
        )


async def _migrate(connection: AsyncConnection, database: str) -> None:
    # Asks for an administrator; what follows is done as the owner, so that the owner owns it.
    await connection.execute(text("create extension if not exists vector schema public"))
    await connection.commit()
    await connection.execute(text(f"set role {OWNER_ROLE}"))
    name = await connection.scalar(text("select quote_ident(:database)"), {"database": database})
    await connection.exec_driver_sql(f"grant connect on database {name} to {APP_ROLE}, {SEQUENCER_ROLE}")
    await connection.commit()
    await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    # Without it alembic looks for separators in a path and warns that it had to guess.
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = set(MigrationContext.configure(connection).get_current_heads())
    connection.commit()
    if not found <= known:
        raise DatabaseIsNewer(
            f"the database is at revision {', '.join(sorted(found - known))}, which this release does not"
            " know: start the release that migrated it, or a later one"
        )
    command.upgrade(config, "head")
    connection.commit()


async def _insert_as_owner(
    admin_url: str, tenant_id: TenantId, statement: str, values: dict[str, object]
) -> None:
    async with _connection(make_url(admin_url)) as connection, connection.begin():
        await connection.execute(text(f"set local role {OWNER_ROLE}"))
        await connection.execute(
            text("select set_config('app.tenant', :tenant, true)"), {"tenant": str(tenant_id)}
        )
        await connection.execute(text(statement), {"tenant_id": tenant_id, **values})
