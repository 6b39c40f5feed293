"""Calls for `demo` and `bench call`: with the stack that runs, or one of their own."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from activities.personas import load_persona_file
from domain.errors import first_of
from domain.ids import PersonaId
from ops.caller.api import Api
from ops.caller.document import SavedFiles
from ops.caller.phone import Caption
from ops.caller.ring import HEARD_NAME, SEEN_NAME, Outcome, Plan, Watcher, ring
from ops.caller.sound import Sound, read_sound
from ops.caller.voice import ask, read_questions
from ops.cli.errors import Stop
from ops.cli.progress import Progress, StackProgress
from ops.devstack.temporal import free_port
from ops.stack.environment import secrets_of
from ops.stack.example import example_of
from ops.stack.folder import DataFolder, Run
from ops.stack.plan import Plan as StackPlan
from ops.stack.running import running
from workflows.contracts import RELEASE

TICK_S = 0.5
# What a shell expects of a program that Ctrl-C ended.
STOPPED_EXIT_CODE = 130
SAVED_NAMES = SavedFiles(heard=HEARD_NAME, video=SEEN_NAME, events="events.ndjson")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line."""

    audio: Sequence[Path]
    # How many things to say; the files, or else the scripted questions, are repeated to make so many.
    turns: int | None
    barge_in_s: float | None
    persona: Path | None
    save: Path | None
    data: Path
    models_dir: Path


async def place_call(wanted: Wanted, progress: Progress) -> Outcome:
    """Raises Stop, ModelError or CallFailed when there is no call at all."""
    progress.step("Preparing what the caller says")
    sounds = await asyncio.to_thread(sounds_for, wanted)
    if wanted.save is not None:
        try:
            wanted.save.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Stop(
                f"{wanted.save} cannot be written ({error.strerror}): choose another folder."
            ) from None
    async with _stack(wanted, progress) as (folder, run), Api(run.api_url, secrets_of(folder).api_key) as api:
        persona_id = await _persona(api, folder, wanted.persona)
        plan = Plan(persona_id, sounds, wanted.barge_in_s, wanted.save)
        outcome = await ring(api, plan, Watcher(progress.step, lambda caption: _show(progress, caption)))
    if wanted.save is not None:
        await asyncio.to_thread(_write_events, wanted.save / SAVED_NAMES.events, outcome)
    return outcome


def sounds_for(wanted: Wanted) -> list[Sound]:
    """The files named, or the scripted questions in the caller's own voice."""
    sounds = [read_sound(path) for path in wanted.audio] or ask(read_questions(), wanted.models_dir)
    if wanted.turns is None:
        return sounds
    return [sounds[turn % len(sounds)] for turn in range(wanted.turns)]


def run_to_end(wanted: Wanted) -> Outcome:
    """`place_call` in a loop of its own; SIGTERM and Ctrl-C stop what it started before they end it."""
    try:
        return asyncio.run(_until_told(wanted))
    except asyncio.CancelledError:
        raise typer.Exit(STOPPED_EXIT_CODE) from None


async def _until_told(wanted: Wanted) -> Outcome:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with Progress("Starting") as progress:
        try:
            async with asyncio.TaskGroup() as group:
                ticking = group.create_task(_tick(progress))
                outcome = await place_call(wanted, progress)
                ticking.cancel()
        except ExceptionGroup as failures:
            raise first_of(failures) from None
    return outcome


@asynccontextmanager
async def _stack(wanted: Wanted, progress: Progress) -> AsyncIterator[tuple[DataFolder, Run]]:
    """The one that runs in the data folder; else one in a folder that is gone afterwards."""
    folder = DataFolder(wanted.data)
    run = folder.run() if folder.held() else None
    if run is not None:
        if not run.ready:
            raise Stop(
                f"The stack in {folder.root} is still starting: try again when it has printed its link."
            )
        yield folder, run
        return
    with tempfile.TemporaryDirectory(prefix="vivavoce-") as temporary:
        own = DataFolder(Path(temporary))
        own.open(product_version=RELEASE)
        plan = StackPlan(own, secrets_of(own), wanted.models_dir, "127.0.0.1", free_port())
        async with running(plan, StackProgress(progress)) as own_run:
            yield own, own_run


async def _persona(api: Api, folder: DataFolder, file: Path | None) -> PersonaId:
    if file is not None:
        persona = await asyncio.to_thread(load_persona_file, file)
        return await api.publish_persona(
            json.dumps(persona.to_json()).encode(), media_type="application/json"
        )
    example = example_of(folder)
    return await api.first_persona() if example is None else example.persona_id


async def _tick(progress: Progress) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        progress.tick()


def _show(progress: Progress, caption: Caption) -> None:
    progress.line(f"{'caller ' if caption.role == 'user' else 'persona'}  {caption.text}")


def _write_events(path: Path, outcome: Outcome) -> None:
    with path.open("w", encoding="utf-8") as sink:
        for event in outcome.events:
            sink.write(event.model_dump_json() + "\n")
