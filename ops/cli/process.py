"""`process`: one process of an installation in the foreground, set up by VIVAVOCE_… in its environment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer

from ops.cli.errors import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ops.settings import Settings

app = typer.Typer(
    no_args_is_help=True, help="Run one process of an installation; `up` starts all of them on one machine."
)


@app.command()
def api() -> None:
    """The HTTP interface and the pages."""
    from ops.processes import api as module

    _run(module.run)


@app.command()
def workflows() -> None:
    """The Temporal worker that decides, and the sweep that mends."""
    from ops.processes import workflow_worker as module

    _run(module.run)


@app.command()
def media() -> None:
    """A media worker, which carries live sessions."""
    from ops.processes import media_worker as module

    _run(module.run)


@app.command()
def sequencer() -> None:
    """Gives events their places in the order of all; of several, one leads."""
    from ops.processes import sequencer as module

    _run(module.run)


def _run(process: Callable[[Settings], Coroutine[None, None, None]]) -> None:
    """To its end. What goes wrong without a name of ours is logged by type and place, and never in its own
    words, which may be somebody's."""
    import structlog

    from domain.errors import VivavoceError
    from media.models import ModelError

    settings = _settings()
    try:
        asyncio.run(process(settings))
    except (VivavoceError, ModelError):
        raise
    except Exception:  # noqa: BLE001 - the top of a process
        structlog.get_logger("vivavoce").critical("process.failed", exc_info=True)
        raise typer.Exit(1) from None


def _settings() -> Settings:
    """Read from the environment, with logs set up. Raises Stop naming each variable that is missing."""
    from pydantic import ValidationError

    from ops.logs import configure_logs
    from ops.settings import Settings

    try:
        settings = Settings()
    except ValidationError as error:
        wrong = ", ".join(
            f"VIVAVOCE_{str(each['loc'][0]).upper()} ({each['msg']})" for each in error.errors()
        )
        raise Stop(f"These settings are missing or wrong: {wrong}.") from None
    configure_logs(settings.log_level, as_json=settings.log_json)
    return settings
