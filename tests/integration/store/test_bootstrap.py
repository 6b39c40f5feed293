"""From an empty server to a prepared database, again and at the same time, and never over what is newer."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.access import Access, new_api_key
from activities.store.engine import create_engine
from activities.store.roles import check_role
from domain.errors import StoreUnavailable
from domain.ids import TenantId
from ops.bootstrap import (
    MIGRATION_LOCK,
    DatabaseIsNewer,
    DatabaseIsNotOurs,
    ensure_api_key,
    ensure_tenant,
    prepare_database,
)
from ops.devstack.postgres import EmbeddedPostgres
from ops.roles import APP_ROLE, GATE_ROLE, OWNER_ROLE, SEQUENCER_ROLE


def a_name() -> str:
    return f"vivavoce_{uuid4().hex[:12]}"


async def test_several_that_prepare_one_database_at_once_all_succeed(postgres: EmbeddedPostgres) -> None:
    name = a_name()

    prepared = await asyncio.gather(
        *(prepare_database(postgres.superuser_url, database=name) for _ in range(3))
    )

    assert len(set(prepared)) == 1
    engine = create_engine(prepared[0].app_url, application_name="tests")
    await check_role(engine)
    await engine.dispose()


async def test_one_that_prepares_and_does_not_finish_is_waited_for_within_a_bound(
    postgres: EmbeddedPostgres,
) -> None:
    engine = create_engine(postgres.superuser_url, application_name="tests")
    async with engine.connect() as connection:
        await connection.execute(text("select pg_advisory_lock(:number)"), {"number": MIGRATION_LOCK})

        with pytest.raises(StoreUnavailable):
            await prepare_database(postgres.superuser_url, database=a_name(), wait_s=0.1)
    await engine.dispose()


async def test_a_prepared_database_admits_the_key_that_it_was_given(postgres: EmbeddedPostgres) -> None:
    addresses = await prepare_database(postgres.superuser_url, database=a_name())
    tenant_id, key = TenantId(uuid4()), new_api_key()

    for _ in range(2):
        await ensure_tenant(addresses.admin_url, tenant_id, name="us")
        await ensure_api_key(addresses.admin_url, tenant_id, key=key, name="first")

    engine = create_engine(addresses.app_url, application_name="tests")
    caller = await Access(engine).authenticate(key)
    await engine.dispose()
    assert caller is not None
    assert caller.tenant_id == tenant_id


async def test_everything_belongs_to_the_owner_and_nobody_can_log_in_as_it(admin: AsyncEngine) -> None:
    async with admin.connect() as connection:
        owners = set(
            await connection.scalars(
                text(
                    "select pg_get_userbyid(relowner) from pg_class"
                    " where relnamespace = 'public'::regnamespace"
                )
            )
        )
        roles = {
            row.rolname: row
            for row in await connection.execute(
                text("select * from pg_roles where rolname = any (:names)"),
                {"names": [OWNER_ROLE, APP_ROLE, GATE_ROLE, SEQUENCER_ROLE]},
            )
        }
        definers = {
            row.proname: row.owner
            for row in await connection.execute(
                text(
                    "select proname, pg_get_userbyid(proowner) as owner from pg_proc"
                    " where prosecdef and pronamespace = 'public'::regnamespace"
                )
            )
        }

    assert owners == {OWNER_ROLE}
    assert {name: role.rolcanlogin for name, role in roles.items()} == {
        OWNER_ROLE: False,
        GATE_ROLE: False,
        APP_ROLE: True,
        SEQUENCER_ROLE: True,
    }
    assert not any(role.rolsuper or role.rolbypassrls or role.rolcreaterole for role in roles.values())
    assert definers == dict.fromkeys(
        (
            *("authenticate", "find_join_token", "find_resume_credential", "unsealed_conversations"),
            *("log_size", "log_places"),
        ),
        GATE_ROLE,
    )


async def test_a_database_that_a_later_release_migrated_is_left_alone(postgres: EmbeddedPostgres) -> None:
    name = a_name()
    addresses = await prepare_database(postgres.superuser_url, database=name)
    engine = create_engine(addresses.admin_url, application_name="tests")
    async with engine.begin() as connection:
        await connection.execute(text("update public.alembic_version set version_num = '9999'"))
    await engine.dispose()

    with pytest.raises(DatabaseIsNewer, match=r"9999.*start the release that migrated it"):
        await prepare_database(postgres.superuser_url, database=name)


async def test_a_database_of_somebody_else_is_left_alone(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(DatabaseIsNotOurs, match="belongs to the role postgres"):
        await prepare_database(postgres.superuser_url, database="template1")


async def test_an_administrator_that_is_no_superuser_prepares_a_database_that_has_the_extension(
    postgres: EmbeddedPostgres, admin: AsyncEngine
) -> None:
    role, name = f"tests_{uuid4().hex[:12]}", a_name()
    async with admin.begin() as connection:
        await connection.execute(text(f"create role {role} login createrole createdb"))
        await connection.execute(
            text(f"grant {OWNER_ROLE}, {GATE_ROLE}, {APP_ROLE} to {role} with admin option")
        )
    # As on a managed server, whose own superuser installs the extension.
    url = make_url(postgres.superuser_url)
    template = create_engine(url.set(database="template1").render_as_string(), application_name="tests")
    async with template.begin() as connection:
        await connection.execute(text("create extension if not exists vector"))
    await template.dispose()

    addresses = await prepare_database(url.set(username=role).render_as_string(), database=name)
    await ensure_tenant(addresses.admin_url, TenantId(uuid4()), name="us")

    engine = create_engine(addresses.app_url, application_name="tests")
    await check_role(engine)
    await engine.dispose()


async def test_passwords_are_set_for_servers_that_ask_for_them(
    postgres: EmbeddedPostgres, admin: AsyncEngine
) -> None:
    words = {APP_ROLE: "it's a 'secret' \\ %word", SEQUENCER_ROLE: "an'other"}

    addresses = await prepare_database(
        postgres.superuser_url,
        database=a_name(),
        app_password=words[APP_ROLE],
        sequencer_password=words[SEQUENCER_ROLE],
    )

    urls = {APP_ROLE: make_url(addresses.app_url), SEQUENCER_ROLE: make_url(addresses.sequencer_url)}
    assert {role: url.username for role, url in urls.items()} == {role: role for role in words}
    assert {role: url.password for role, url in urls.items()} == words
    async with admin.connect() as connection:
        stored = await connection.scalars(
            text("select rolpassword from pg_authid where rolname = any (:roles)"), {"roles": list(words)}
        )
        assert [str(each).startswith("SCRAM-SHA-256$") for each in stored] == [True, True]
