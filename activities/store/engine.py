"""Engines: a bounded pool of connections, each with bounded waits."""

from __future__ import annotations

from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

POOL_CONNECTIONS_MAX = 8
# How long a request waits for a connection of the pool before it fails as unavailable.
POOL_WAIT_S = 5.0
CONNECT_TIMEOUT_S = 3.0
STATEMENT_TIMEOUT_MS = 5_000
LOCK_TIMEOUT_MS = 3_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000
# The client's own bound, for a server that does not even time out: longer than the server's.
COMMAND_TIMEOUT_S = 6.0


def asyncpg_url(url: str) -> str:
    """The same address for SQLAlchemy's asyncpg dialect, whatever driver it named."""
    return make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


def create_engine(
    url: str,
    *,
    application_name: str = "vivavoce",
    connections_max: int = POOL_CONNECTIONS_MAX,
    pre_ping: bool = False,
) -> AsyncEngine:
    """An engine with at most `connections_max` connections. Dispose of it when the process ends.

    `pre_ping` asks a connection whether it still stands before it is used: one round trip more, for whom a
    request that fails after a restart of the server is worse than that.
    """
    return create_async_engine(
        asyncpg_url(url),
        pool_size=connections_max,
        max_overflow=0,
        pool_timeout=POOL_WAIT_S,
        pool_pre_ping=pre_ping,
        connect_args={
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": COMMAND_TIMEOUT_S,
            "server_settings": {
                "application_name": application_name,
                "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                "lock_timeout": str(LOCK_TIMEOUT_MS),
                "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
                "timezone": "UTC",
            },
        },
    )
