"""A tenant's rows and no others: every statement runs in a transaction that says whose it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.store.failures import store_failures
from domain.ids import TenantId

_SET_TENANT = text("select set_config('app.tenant', :tenant, true)")


@asynccontextmanager
async def tenant_transaction(engine: AsyncEngine, tenant_id: TenantId) -> AsyncIterator[AsyncConnection]:
    """Commits at the end, rolls back on any error. The tenant is forgotten with the transaction.

    Raises StoreUnavailable where the connection fails; what was written may then be stored or not.
    """
    with store_failures():
        async with engine.begin() as connection:
            await connection.execute(_SET_TENANT, {"tenant": str(tenant_id)})
            yield connection
