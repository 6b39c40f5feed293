"""A process that brings the database to what this release needs, and ends."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from domain.errors import VivavoceError
from media.models import ModelError
from ops.cli.errors import Stop
from ops.stack.database import database
from ops.stack.environment import secrets_of
from ops.stack.example import publish_example
from ops.stack.folder import DataFolder


async def run(folder: DataFolder, models_dir: Path) -> None:
    secrets = secrets_of(folder)
    async with database(folder, secrets) as engine:
        await publish_example(folder, engine, secrets.tenant, models_dir)


def main() -> int:
    """Arguments: the data folder and the models folder. What goes wrong is the last line written."""
    try:
        asyncio.run(run(DataFolder(Path(sys.argv[1])), Path(sys.argv[2])))
    except (VivavoceError, ModelError, Stop) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
