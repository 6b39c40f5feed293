"""What a process waits for at its start: a database that is prepared for this release, and Temporal.

All processes of an installation may be started at once. Each loads its code meanwhile, which takes longer
than anything else, and none depends on the order in which the others get ready.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

import migrations
from activities.store.revision import revision_of
from domain.errors import StoreUnavailable, Unavailable
from ops.settings import Settings

if TYPE_CHECKING:
    from temporalio.client import Client

log = structlog.get_logger()

PAUSE_S = 0.2
# How often a process that waits says so.
SAY_INTERVAL_S = 5.0

ResultT = TypeVar("ResultT")


class DatabaseNotPrepared(Unavailable):
    """The server answers, and its database is not there or was not migrated to this release."""

    code = "database_not_prepared"


def revisions() -> tuple[str, ...]:
    """Those that this release knows, oldest first. Read from file names: alembic takes long to load."""
    folder = Path(migrations.__file__).parent / "versions"
    return tuple(sorted(path.stem[1:].partition("_")[0] for path in folder.glob("v*.py")))


async def backed(settings: Settings, engine: AsyncEngine, stop: asyncio.Event) -> Client | None:
    """The client of Temporal once both answer and the database is prepared; None when `stop` was set first.

    A database that a later release has migrated counts as prepared.
    Raises StoreUnavailable, DatabaseNotPrepared or TemporalUnreachable when `start_wait_s` have passed, and
    RoleTooMighty or PayloadKeyInvalid at once.
    """
    return await _unless_stopped(_both(settings, engine), stop)


async def prepared(settings: Settings, engine: AsyncEngine, stop: asyncio.Event) -> bool:
    """The database alone, for a process without workflows. False when `stop` was set first; raises alike."""
    await _unless_stopped(_until_prepared(engine, within_s=settings.start_wait_s), stop)
    return not stop.is_set()


async def _both(settings: Settings, engine: AsyncEngine) -> Client:
    # Not every process has to do with workflows, and what they need takes a second to load.
    from ops.processes.temporal_client import connect  # noqa: PLC0415

    await _until_prepared(engine, within_s=settings.start_wait_s)
    return await connect(settings, within_s=max(settings.start_wait_s, PAUSE_S))


async def _until_prepared(engine: AsyncEngine, *, within_s: float) -> None:
    known = revisions()
    loop = asyncio.get_running_loop()
    began_s = said_s = loop.time()
    while True:
        failure: Unavailable
        try:
            found = await revision_of(engine)
        except StoreUnavailable as error:
            failure = error
        else:
            if found is not None and found not in known[:-1]:
                return
            failure = DatabaseNotPrepared(
                f"the database was not prepared for this release within {within_s:.0f} s (found revision"
                f" {found or 'none'}, need {known[-1]}): prepare it, or mend VIVAVOCE_DATABASE_URL"
            )
        now_s = loop.time()
        if now_s - began_s >= within_s:
            raise failure
        if now_s - said_s >= SAY_INTERVAL_S:
            said_s = now_s
            log.info("database.waiting", code=failure.code)
        await asyncio.sleep(PAUSE_S)


async def _unless_stopped(work: Coroutine[None, None, ResultT], stop: asyncio.Event) -> ResultT | None:
    """The result, or None after `stop`: an order to end is heeded while there is nothing to drain yet."""
    try:
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(work)
            stopping = tasks.create_task(stop.wait())
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            stopping.cancel()
    except ExceptionGroup as failures:
        # There is one piece of work, and so one failure.
        raise failures.exceptions[0] from None
    return None if working.cancelled() else working.result()
