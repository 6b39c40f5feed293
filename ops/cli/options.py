"""Options that several commands share, and where things lie by default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DATA_DEFAULT = Path(".vivavoce")
API_PORT_DEFAULT = 8460
API_HOST_DEFAULT = "127.0.0.1"

Data = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="VIVAVOCE_DATA",
        resolve_path=True,
        help="Folder of the database, recordings and secrets.",
    ),
]
Models = Annotated[
    Path | None,
    typer.Option(
        "--models",
        envvar="VIVAVOCE_MODELS_DIR",
        resolve_path=True,
        help="Folder of the model files; by default in the user's cache folder.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output, and nothing else there.")
]


def models_folder(given: Path | None) -> Path:
    """Where the model files are kept."""
    from ops.stack.environment import user_cache

    return given or user_cache() / "vivavoce" / "models"
