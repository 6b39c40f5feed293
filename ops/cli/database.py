"""The database for commands that need nothing else, whether or not the stack is up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ops.cli.progress import Progress

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from domain.ids import TenantId

ResultT = TypeVar("ResultT")
TICK_S = 0.5


def with_database(
    data: Path,
    work: Callable[[AsyncEngine, TenantId], Awaitable[ResultT]],
    *,
    title: str = "Opening the database",
    connections_max: int | None = None,
) -> ResultT:
    """Runs `work` as the application role and tenant of a data folder."""
    from ops.stack.database import CLI_CONNECTIONS_MAX, database
    from ops.stack.environment import secrets_of
    from ops.stack.folder import DataFolder
    from workflows.contracts import RELEASE

    folder = DataFolder(data)
    folder.open(product_version=RELEASE)
    secrets = secrets_of(folder)

    async def run() -> ResultT:
        with Progress(title) as progress:
            ticking = asyncio.create_task(_tick(progress))
            try:
                async with database(
                    folder, secrets, connections_max=connections_max or CLI_CONNECTIONS_MAX
                ) as engine:
                    return await work(engine, secrets.tenant)
            finally:
                ticking.cancel()

    return asyncio.run(run())


async def _tick(progress: Progress) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        progress.tick()
