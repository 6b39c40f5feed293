"""`up`, `down` and `status`."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.options import (
    API_HOST_DEFAULT,
    API_PORT_DEFAULT,
    DATA_DEFAULT,
    AsJson,
    Data,
    Models,
    models_folder,
)
from ops.cli.output import emit_json, emit_table, result, say
from ops.cli.progress import Progress, StackProgress

if TYPE_CHECKING:
    from ops.stack.folder import Run
    from ops.stack.plan import Plan

NOT_RUNNING_EXIT_CODE = 1

Host = Annotated[str, typer.Option("--host", envvar="VIVAVOCE_API_HOST", help="Address to listen on.")]
Port = Annotated[
    int,
    typer.Option("--port", envvar="VIVAVOCE_API_PORT", min=1, max=65535, help="Port of the pages and HTTP."),
]


def add_to(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(down)
    app.command()(status)


def up(
    data: Data = DATA_DEFAULT,
    models: Models = None,
    host: Host = API_HOST_DEFAULT,
    port: Port = API_PORT_DEFAULT,
) -> None:
    """Starts everything in this folder and prints one link. Ctrl-C stops it."""
    asyncio.run(_up(make_plan(data, models, host, port)))


def down(data: Data = DATA_DEFAULT) -> None:
    """Stops what `up` started in this folder, and waits until it is gone."""
    from ops.stack.folder import DataFolder
    from ops.stack.running import bring_down

    with Progress("Stopping") as progress:
        was_running = bring_down(DataFolder(data), lambda _: progress.tick())
    say("Stopped." if was_running else f"Nothing is running in {data}.")


def status(data: Data = DATA_DEFAULT, as_json: AsJson = False) -> None:
    """Shows what runs in this folder. Exit code 1 when nothing does."""
    from ops.stack.child import birth
    from ops.stack.folder import DataFolder

    folder = DataFolder(data)
    run = folder.run() if folder.held() else None
    processes = [] if run is None else run.processes
    alive = [each.birth is None or birth(each.pid) == each.birth for each in processes]
    if as_json:
        emit_json(
            {
                "running": run is not None,
                "ready": run is not None and run.ready and all(alive),
                "data": str(folder.root),
                "api_url": None if run is None else run.api_url,
                "started_at": None if run is None else run.started_at,
                "processes": [
                    {"name": p.name, "pid": p.pid, "alive": lives, "restarts": p.restarts, "log": p.log}
                    for p, lives in zip(processes, alive, strict=True)
                ],
            }
        )
    elif run is None:
        say(f"Nothing is running in {data}: start it with `vivavoce up`.")
    else:
        emit_table(
            ("process", "state", "pid", "restarts", "log"),
            [
                (p.name, "running" if lives else "dead", str(p.pid), str(p.restarts), p.log)
                for p, lives in zip(processes, alive, strict=True)
            ],
        )
        say(f"{'Ready' if run.ready else 'Starting'} at {run.api_url} since {run.started_at}.")
    if run is None:
        raise typer.Exit(NOT_RUNNING_EXIT_CODE)


def make_plan(data: Path, models: Path | None, host: str, port: int) -> Plan:
    """The plan of a stack in a folder. Raises Stop where the folder cannot be used."""
    from ops.stack.environment import secrets_of
    from ops.stack.folder import DataFolder
    from ops.stack.plan import Plan
    from workflows.contracts import RELEASE

    folder = DataFolder(data)
    folder.open(product_version=RELEASE)
    return Plan(folder, secrets_of(folder), models_folder(models), host, port)


async def _up(plan: Plan) -> None:
    from ops.stack.running import supervise

    stop, hurry = asyncio.Event(), asyncio.Event()

    def wanted() -> None:
        if stop.is_set():
            # Asked twice: whoever asks does not want to wait.
            hurry.set()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, wanted)
    progress = Progress("Starting")

    def ready(run: Run) -> None:
        progress.__exit__(None, None, None)
        result.print(f"\nVivavoce is ready. Open this link and talk:\n\n  {run.link}\n", markup=False)
        say("Ctrl-C stops it.")

    with progress:
        await supervise(plan, StackProgress(progress), stop, hurry, on_ready=ready)
    say("Stopped.")
