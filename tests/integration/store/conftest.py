"""What only the tests of the store need."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.engine import create_engine
from ops.bootstrap import Addresses


@pytest.fixture
async def admin(addresses: Addresses) -> AsyncIterator[AsyncEngine]:
    """Sees through everything: for what a test must look at, or age, from outside."""
    engine = create_engine(addresses.admin_url, application_name="administrator")
    yield engine
    await engine.dispose()
