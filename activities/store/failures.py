"""Which failures of the database are worth trying again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from domain.errors import StoreUnavailable

# SQLSTATE classes and codes that name the server's condition and not a fault of the statement.
_CONDITIONS = (
    "08",  # connection exception
    "25006",  # read-only: the server is a standby just now
    "40",  # transaction rollback: deadlock, serialisation
    "53",  # insufficient resources: disk, memory, connections
    "55P03",  # lock not available within lock_timeout
    "57",  # operator intervention: shutting down, starting up, statement_timeout
    "58",  # system error, outside Postgres
)


@contextmanager
def store_failures() -> Iterator[None]:
    """Turns a lost, late or refused connection into StoreUnavailable; lets every other error through."""
    try:
        yield
    except (OSError, PoolTimeout) as error:  # asyncpg's own time-outs are OSErrors: TimeoutError.
        raise StoreUnavailable(f"Postgres did not answer: {type(error).__name__}") from error
    except InterfaceError as error:
        raise StoreUnavailable("the connection to Postgres was lost") from error
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if error.connection_invalidated or (state is not None and state.startswith(_CONDITIONS)):
            raise StoreUnavailable(f"Postgres did not complete the request ({state})") from error
        raise
    except (asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, asyncpg.InterfaceError) as error:
        raise StoreUnavailable(f"Postgres could not be reached: {type(error).__name__}") from error
