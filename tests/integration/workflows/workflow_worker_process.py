"""The real workflow process, for tests that kill it."""

from __future__ import annotations

import asyncio

from ops.processes.workflow_worker import run
from ops.settings import Settings

if __name__ == "__main__":
    asyncio.run(run(Settings()))
