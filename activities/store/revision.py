"""How far a database was brought by the migrations."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.failures import store_failures
from activities.store.roles import check_role

# SQLSTATEs of a database that is being made.
_NOT_YET = (
    "28",  # no such role
    "3D000",  # no such database
    "42501",  # it may not be entered yet
)
# Between the first step's making of the table and its grant, the table is there and cannot be read.
_READABLE = text(
    "select coalesce(has_table_privilege(to_regclass('public.alembic_version'), 'select'), false)"
)
_REVISION = text("select version_num from public.alembic_version")


async def revision_of(engine: AsyncEngine) -> str | None:
    """The revision of the database; None where it, its tables or the role of `engine` are not there yet.

    Raises StoreUnavailable where no server answers, and RoleTooMighty before it looks at anything.
    """
    try:
        await check_role(engine)
        with store_failures():
            async with engine.connect() as connection:
                if not await connection.scalar(_READABLE):
                    return None
                found: str | None = await connection.scalar(_REVISION)
                return found
    except DBAPIError as error:
        if (getattr(error.orig, "sqlstate", None) or "").startswith(_NOT_YET):
            return None
        raise
