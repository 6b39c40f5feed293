"""The fixtures of a real Temporal server, for this package, and a database of its own.

The sweep and the shared queue see every tenant: conversations that other packages leave open would be taken
up here, and would take the places of those that are tested.
"""

from __future__ import annotations

import asyncio

import pytest

from ops.bootstrap import Addresses, prepare_database
from ops.devstack.postgres import EmbeddedPostgres
from tests.temporal_fixtures import host, running, temporal_client, temporal_server, world

__all__ = ["addresses", "host", "running", "temporal_client", "temporal_server", "world"]


@pytest.fixture(scope="session")
def addresses(postgres: EmbeddedPostgres) -> Addresses:
    return asyncio.run(prepare_database(postgres.superuser_url, database="vivavoce_workflows"))
