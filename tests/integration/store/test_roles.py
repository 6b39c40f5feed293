"""A process refuses to run as a role that row-level security does not bind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.engine import create_engine
from activities.store.roles import RoleTooMighty, check_role
from ops.bootstrap import Addresses
from ops.roles import APP_ROLE, GATE_ROLE, OWNER_ROLE

ConnectAs = Callable[[str], Awaitable[AsyncEngine]]


@pytest.fixture
async def connect_as(addresses: Addresses) -> AsyncIterator[ConnectAs]:
    """Connects as a new role that is made with the attributes given and granted to nobody."""
    admin = create_engine(addresses.admin_url, application_name="administrator")
    engines: list[AsyncEngine] = []
    roles: list[str] = []

    async def connect(attributes: str) -> AsyncEngine:
        role = f"tests_{uuid4().hex[:12]}"
        roles.append(role)
        async with admin.begin() as connection:
            await connection.execute(text(f"create role {role} login {attributes}"))
            await connection.execute(text(f"grant connect on database vivavoce_test to {role}"))
        url = make_url(addresses.app_url).set(username=role)
        engines.append(create_engine(url.render_as_string(), application_name="tests"))
        return engines[-1]

    yield connect
    for engine in engines:
        await engine.dispose()
    async with admin.begin() as connection:
        for role in roles:
            await connection.execute(text(f"drop owned by {role}"))
            await connection.execute(text(f"drop role {role}"))
    await admin.dispose()


async def test_the_role_that_bootstrap_prepares_is_accepted(engine: AsyncEngine) -> None:
    await check_role(engine)

    async with engine.connect() as connection:
        assert await connection.scalar(text("select current_user")) == APP_ROLE


async def test_a_superuser_is_refused(addresses: Addresses) -> None:
    engine = create_engine(addresses.admin_url, application_name="tests")
    with pytest.raises(RoleTooMighty, match=r"is a superuser.*VIVAVOCE_DATABASE_URL"):
        await check_role(engine)
    await engine.dispose()


async def test_a_role_that_bypasses_row_level_security_is_refused(connect_as: ConnectAs) -> None:
    with pytest.raises(RoleTooMighty, match="has BYPASSRLS"):
        await check_role(await connect_as("bypassrls"))


async def test_an_owner_of_anything_is_refused(addresses: Addresses, connect_as: ConnectAs) -> None:
    engine = await connect_as("")
    await check_role(engine)

    admin = create_engine(addresses.admin_url, application_name="administrator")
    async with admin.begin() as connection:
        await connection.execute(text(f"create schema authorization {engine.url.username}"))
    await admin.dispose()

    with pytest.raises(RoleTooMighty, match="owns objects"):
        await check_role(engine)


@pytest.mark.parametrize("role", [OWNER_ROLE, GATE_ROLE])
async def test_a_member_of_a_mightier_role_is_refused(connect_as: ConnectAs, role: str) -> None:
    with pytest.raises(RoleTooMighty, match=r"as a member of vivavoce_\w+, which owns objects"):
        await check_role(await connect_as(f"in role {role}"))
