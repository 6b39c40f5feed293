"""A sequencer for a command that needs events to get their places, whether or not the stack runs."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from activities.store.engine import create_engine
from activities.store.sequencer import LEASE, STANDBY_INTERVAL_S, has_leader
from domain.errors import Unavailable
from ops.devstack.orphan import die_with_parent
from ops.devstack.postgres import EmbeddedPostgres
from ops.roles import DATABASE, SEQUENCER_ROLE
from ops.stack.environment import Addresses, secrets_of, settings_environment
from ops.stack.folder import DataFolder

READY_WITHIN_S = 30.0
POLL_S = 0.05
STOP_WITHIN_S = 10.0


class SequencerDidNotStart(Unavailable):
    code = "sequencer_did_not_start"


@asynccontextmanager
async def sequencer_process(data: Path) -> AsyncIterator[None]:
    """One in a process of its own, which stands by where the stack's leads. The server must run.

    Raises SequencerDidNotStart.
    """
    folder = DataFolder(data)
    url = EmbeddedPostgres(folder.postgres).url(user=SEQUENCER_ROLE, database=DATABASE)
    # It talks to the database alone.
    addresses = Addresses(url, "127.0.0.1:1", "127.0.0.1", 0, 0)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.cli.main", "process", "sequencer"),
        env=settings_environment(folder, secrets_of(folder), addresses, folder.root),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        preexec_fn=die_with_parent(signal.SIGTERM),
    )
    try:
        await _until_one_leads(url, process)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _until_one_leads(url: str, process: asyncio.subprocess.Process) -> None:
    engine = create_engine(url, application_name="vivavoce-cli", connections_max=1)
    try:
        async with asyncio.timeout(READY_WITHIN_S + LEASE.total_seconds() + STANDBY_INTERVAL_S):
            while not await has_leader(engine):
                if process.returncode is not None:
                    raise SequencerDidNotStart(
                        f"the sequencer ended with code {process.returncode}: see its log under `up`"
                    )
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise SequencerDidNotStart(f"no sequencer led within {READY_WITHIN_S:.0f} s") from None
    finally:
        await engine.dispose()
