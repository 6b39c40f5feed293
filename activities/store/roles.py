"""Row-level security holds only for a role that cannot step around it."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.failures import store_failures
from domain.errors import RuleBroken

# pg_shdepend knows every owner of anything, in every database of the server.
_TOO_MIGHTY = text(
    """
    select r.rolname as role, current_user as connected_as,
           r.rolsuper as superuser, r.rolbypassrls as bypasses,
           exists (select from pg_shdepend d where d.refclassid = 'pg_authid'::regclass
                   and d.refobjid = r.oid and d.deptype = 'o') as owns
      from pg_roles r
     where pg_has_role(current_user, r.oid, 'member')
     order by r.rolname <> current_user, r.rolname
    """
)


class RoleTooMighty(RuleBroken):
    """The process is connected as a role that row-level security does not bind."""

    code = "role_too_mighty"


async def check_role(engine: AsyncEngine) -> None:
    """Every process and every command calls this before anything else. Raises RoleTooMighty with a sentence.

    What the role could become by SET ROLE counts as what it is.
    """
    with store_failures():
        async with engine.connect() as connection:
            rows = (await connection.execute(_TOO_MIGHTY)).all()
    for row in rows:
        if row.superuser:
            fault = "is a superuser"
        elif row.bypasses:
            fault = "has BYPASSRLS"
        elif row.owns:
            fault = "owns objects of the database"
        else:
            continue
        through = "" if row.role == row.connected_as else f", as a member of {row.role}, which"
        raise RoleTooMighty(
            f"the database role {row.connected_as}{through} {fault}: it would see every tenant's rows."
            " Give VIVAVOCE_DATABASE_URL the application role that bootstrap prepared, and that role nothing"
            " beyond what bootstrap gives it"
        )
