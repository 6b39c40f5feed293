"""The process that gives events their places in the order of all. Of several, one leads and the others stand
by."""

from __future__ import annotations

import asyncio
import os
import signal
import socket

import structlog

from activities.store.engine import create_engine
from activities.store.sequencer import HOLDER_CHARS_MAX, Sequencer, lead_or_stand_by
from ops.logs import quiet_loop_errors
from ops.processes.backing import prepared
from ops.settings import Settings

log = structlog.get_logger()

# One statement at a time; the second connection is for when the first was lost in the middle of one.
CONNECTIONS_MAX = 2


async def run(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT. VIVAVOCE_DATABASE_URL is here the address of the sequencer's own role.

    Raises what `prepared` raises, or NotASequencer.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    quiet_loop_errors(loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    engine = create_engine(
        settings.database_url.get_secret_value(),
        application_name="vivavoce sequencer",
        connections_max=CONNECTIONS_MAX,
    )
    try:
        if await prepared(settings, engine, stop):
            log.info("sequencer.ready")
            await lead_or_stand_by(Sequencer(engine, holder=holder()), stop)
            log.info("sequencer.stopped")
    finally:
        await engine.dispose()


def holder() -> str:
    """Who leads, for people who look: the machine and the process."""
    return f"{socket.gethostname()}:{os.getpid()}"[-HOLDER_CHARS_MAX:]
