"""A real Postgres for whichever test asks for it: one server and one prepared database for a whole run.

Tests share the database and stay apart as customers do: each has a tenant of its own.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.engine import create_engine
from activities.store.event_store import PostgresEventStore
from domain.ids import TenantId
from ops.bootstrap import Addresses, ensure_tenant, prepare_database
from ops.devstack.postgres import EmbeddedPostgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A running server with an empty data folder, gone after the run."""
    with (
        tempfile.TemporaryDirectory(prefix="vivavoce-test-") as folder,
        EmbeddedPostgres(Path(folder)) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def addresses(postgres: EmbeddedPostgres) -> Addresses:
    """Of a migrated database: `app_url` for what is tested, `admin_url` for looking at it from beside."""
    return asyncio.run(prepare_database(postgres.superuser_url, database="vivavoce_test"))


@pytest.fixture
async def engine(addresses: Addresses) -> AsyncIterator[AsyncEngine]:
    """As every process connects: the application role, under row-level security."""
    engine = create_engine(addresses.app_url, application_name="tests")
    yield engine
    await engine.dispose()


@pytest.fixture
async def tenant_id(addresses: Addresses) -> TenantId:
    """A new customer, with nothing stored."""
    tenant_id = TenantId(uuid4())
    await ensure_tenant(addresses.admin_url, tenant_id, name="a customer of the tests")
    return tenant_id


@pytest.fixture
def event_store(engine: AsyncEngine) -> PostgresEventStore:
    return PostgresEventStore(engine)
