"""The order is one for all events of a database, so each of these tests has a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.engine import create_engine
from activities.store.sequencer import LeaseToken, Sequencer
from domain.ids import TenantId
from ops.bootstrap import Addresses, prepare_database
from ops.devstack.postgres import EmbeddedPostgres


@pytest.fixture
async def addresses(postgres: EmbeddedPostgres) -> Addresses:
    return await prepare_database(postgres.superuser_url, database=f"vivavoce_{uuid4().hex[:12]}")


@pytest.fixture
def tenant_id() -> TenantId:
    """The log asks for none to be registered."""
    return TenantId(uuid4())


@pytest.fixture
async def sequencing(addresses: Addresses) -> AsyncIterator[AsyncEngine]:
    """As the sequencer's own process connects."""
    engine = create_engine(addresses.sequencer_url, application_name="sequencer")
    yield engine
    await engine.dispose()


@pytest.fixture
def sequencer(sequencing: AsyncEngine) -> Sequencer:
    return Sequencer(sequencing, holder="tests", lease=timedelta(seconds=30))


@pytest.fixture
async def token(sequencer: Sequencer) -> LeaseToken:
    token = await sequencer.acquire()
    assert token is not None
    return token
