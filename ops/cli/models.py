"""`models`: the model files that the media parts run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ops.cli.options import AsJson, Models, models_folder
from ops.cli.output import emit_json, emit_table, say
from ops.cli.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue

    from media.models import FetchProgress, ModelStatus

app = typer.Typer(no_args_is_help=True, help="The model files: brought once, checked at every start.")

INCOMPLETE_EXIT_CODE = 1


@app.command()
def fetch(models: Models = None, as_json: AsJson = False) -> None:
    """Bring what is missing, each file checked against its SHA-256. What is there needs no network."""
    from media.models import FetchStep
    from media.models import fetch as bring

    folder = models_folder(models)
    with Progress("Checking model files") as progress:

        def shown(step: FetchProgress) -> None:
            place = f"{step.package.name} {step.package.version} ({step.number} of {step.count})"
            match step.step:
                case FetchStep.DOWNLOADING:
                    progress.step(f"Downloading {place}")
                case FetchStep.PLACED:
                    progress.line(f"{place}: {step.elapsed_s:.0f} s")
                case FetchStep.PRESENT:
                    progress.tick()

        found = bring(folder, shown)
    if as_json:
        emit_json({"folder": str(folder), "models": _rows(found)})
    else:
        say(f"{len(found)} model files are in place in {folder}.")


@app.command(name="list")
def list_models(models: Models = None, as_json: AsJson = False) -> None:
    """Show every model file, whence it comes and whether it is in place. Exit code 1 when one is not."""
    from media.models import ModelState, listing

    folder = models_folder(models)
    found = listing(folder)
    if as_json:
        emit_json({"folder": str(folder), "models": _rows(found)})
    else:
        emit_table(
            ("file", "state", "MB", "from", "licence"),
            [
                (
                    each.model.name.value,
                    each.state.value.replace("_", " "),
                    f"{each.model.size_bytes / 1e6:.1f}",
                    each.model.package.requirement,
                    each.model.package.licence,
                )
                for each in found
            ],
        )
    if any(each.state is not ModelState.READY for each in found):
        raise typer.Exit(INCOMPLETE_EXIT_CODE)


def _rows(found: Sequence[ModelStatus]) -> list[JsonValue]:
    return [
        {
            "name": each.model.name.value,
            "state": each.state.value,
            "package": each.model.package.name,
            "version": each.model.package.version,
            "licence": each.model.package.licence,
            "size_bytes": each.model.size_bytes,
            "sha256": each.model.sha256,
            "path": str(each.path),
        }
        for each in found
    ]
