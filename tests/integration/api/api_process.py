"""The API's process, for a test to start and to stop."""

import asyncio

from ops.processes.api import run
from ops.settings import Settings

if __name__ == "__main__":
    asyncio.run(run(Settings()))
