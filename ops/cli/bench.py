"""`bench`: figures of this machine, with the machine and the method beside them."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli.database import with_database
from ops.cli.demo import FAILED_EXIT_CODE, Audio, BargeIn, PersonaFile, show
from ops.cli.errors import Stop
from ops.cli.options import DATA_DEFAULT, AsJson, Data, Models, models_folder
from ops.cli.output import emit_json, emit_table, result, say
from ops.cli.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue
    from sqlalchemy.ext.asyncio import AsyncEngine

    from activities.store.benchmark import AppendFigures
    from activities.store.sequencer_benchmark import LagFigures
    from ops.caller.latency import TurnLatency

app = typer.Typer(
    no_args_is_help=True, help="Measure this machine. Each figure comes with how it was measured."
)

TURNS_DEFAULT = 20
TURNS_MAX = 300
APPENDS_DEFAULT = 2000
# Connections of the embedded server, less those of a stack that runs beside.
WRITERS_MAX = 16
FACE_SECONDS_DEFAULT = 10.0
SEQUENCER_RATE_DEFAULT = 5000
SEQUENCER_SECONDS_DEFAULT = 10.0

CALL_METHOD = (
    "An aiortc caller on this machine, in a process of its own, plays speech in real time at 20 ms frames. "
    "Latency runs from the packet with the last speech sample sent to the first packet with persona speech "
    "received, before the jitter buffer; speech is 10 ms windows above -40 dBFS. Barge-in silence runs from "
    "the first speech sample sent to the last persona speech before its pause."
)

APPEND_METHOD = (
    "Each append is one round trip of a verdict and the sentence that it allows, from the call to the commit "
    "on disk, in the embedded Postgres; the first ones of a connection are left out."
)
SEQUENCER_METHOD = (
    "From the answer of an append of 50 events, by one of four writers, to the moment at which a reader who "
    "asks every 5 ms has the position of each event; writers and reader share a process, the sequencer has "
    "one of its own. The first second is left out. Events get their places in the embedded Postgres."
)
FACE_METHOD = (
    "From pose to YUV planes on one thread, per frame and session, with 8 MB of other memory touched between "
    "frames, as an encoder would. A core's share at 25 frames a second is the mean times 25."
)


@app.command()
def call(
    *,
    turns: Annotated[int, typer.Option(min=1, max=TURNS_MAX, help="How many things to say.")] = TURNS_DEFAULT,
    audio: Audio = None,
    barge_in: BargeIn = None,
    reference: Annotated[
        str | None,
        typer.Option(help="What the one recording says, word for word: gives the word error rate."),
    ] = None,
    persona: PersonaFile = None,
    data: Data = DATA_DEFAULT,
    models: Models = None,
    as_json: AsJson = False,
) -> None:
    """From end of speech to first persona audio, over many turns of one call."""
    from ops.caller.document import document
    from ops.caller.latency import measure
    from ops.caller.word_errors import word_error_rate
    from ops.cli.calling import Wanted, run_to_end

    if reference is not None and len(audio or ()) != 1:
        raise Stop("--reference is the text of exactly one recording: give one --audio with it.")
    if reference is not None and not reference.strip(" .,;:!?"):
        raise Stop("--reference holds no word: write what the recording says.")
    load_before = os.getloadavg()[0]
    wanted = Wanted(audio or (), turns, barge_in, persona, None, data, models_folder(models))
    outcome = run_to_end(wanted)
    shown = document(outcome, saved=None)
    silence = barge_in_figures(measure(outcome.spoken, outcome.replies))
    here = machine(load_before)
    heard = " ".join(row.text for row in shown.transcript if row.role == "user")
    rate = None if reference is None else word_error_rate(" ".join([reference] * turns), heard)
    if as_json:
        figures = shown.model_dump(mode="json", include=FIGURES)
        emit_json(
            {
                "bench": "call",
                "machine": here,
                "method": CALL_METHOD,
                **figures,
                "barge_in_silence_ms": silence,
                "word_error_rate": rate,
            }
        )
    else:
        show(shown)
        if silence["turns"]:
            emit_table(("barge-in silence", "ms"), [(name, str(value)) for name, value in silence.items()])
        if rate is not None:
            say(f"Word error rate: {rate:.1%}")
        result.print()
        say(_machine_line(here))
        say(CALL_METHOD)
    if outcome.error is not None:
        raise typer.Exit(FAILED_EXIT_CODE)


@app.command()
def append(
    *,
    appends: Annotated[int, typer.Option(min=1, max=100_000, help="How many to measure.")] = APPENDS_DEFAULT,
    writers: Annotated[int, typer.Option(min=1, max=WRITERS_MAX, help="How many at once.")] = 1,
    data: Data = DATA_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """How long a sentence waits for the record: durable appends of a verdict and its sentence."""
    load_before = os.getloadavg()[0]
    found = with_database(
        data,
        lambda engine, _: _appends(engine, appends, writers),
        title="Appending",
        connections_max=writers,
    )
    _emit("append", machine(load_before), APPEND_METHOD, dataclasses.asdict(found), as_json=as_json)


@app.command()
def sequencer(
    *,
    rate: Annotated[int, typer.Option(min=100, max=20_000, help="Events a second.")] = SEQUENCER_RATE_DEFAULT,
    seconds: Annotated[float, typer.Option(min=1.0, max=600.0, help="How long.")] = SEQUENCER_SECONDS_DEFAULT,
    data: Data = DATA_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """How long a committed event waits for its place in the order of all."""
    from activities.store.sequencer_benchmark import WRITERS

    load_before = os.getloadavg()[0]
    found = with_database(
        data,
        lambda engine, _: _lag(engine, data, rate, seconds),
        title="Sequencing",
        connections_max=WRITERS + 1,
    )
    rows: list[tuple[str, float, str]] = [
        ("sequencer.lag.p50", found.p50_ms, "ms"),
        ("sequencer.lag.p99", found.p99_ms, "ms"),
        ("sequencer.lag.max", found.max_ms, "ms"),
        ("sequencer.rate", found.rate_per_s, "events/s"),
        ("sequencer.events", found.events, "events"),
    ]
    _emit_rows("sequencer", machine(load_before), SEQUENCER_METHOD, rows, as_json=as_json)


@app.command()
def face(
    *,
    seconds: Annotated[
        float, typer.Option(min=1.0, max=600.0, help="Of video, speaking and listening each.")
    ] = FACE_SECONDS_DEFAULT,
    sessions: Annotated[int, typer.Option(min=1, max=16, help="Drawn in one batch.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """How long the persona's face takes a frame, on one thread."""
    from media.speaking.face.benchmark import measure

    load_before = os.getloadavg()[0]
    with Progress(f"Drawing {seconds:g} s twice"):
        found = measure(seconds, sessions, device)
    _emit("face", machine(load_before), FACE_METHOD, dataclasses.asdict(found), as_json=as_json)


async def _appends(engine: AsyncEngine, appends: int, writers: int) -> AppendFigures:
    from activities.store.benchmark import measure_appends
    from activities.store.event_store import PostgresEventStore

    return await measure_appends(PostgresEventStore(engine), appends=appends, writers=writers)


async def _lag(engine: AsyncEngine, data: Path, rate: int, seconds: float) -> LagFigures:
    from activities.store.sequencer_benchmark import measure_lag
    from ops.stack.sequencing import sequencer_process

    async with sequencer_process(data):
        return await measure_lag(engine, rate_per_s=rate, seconds=seconds)


def _emit_rows(
    name: str,
    here: dict[str, JsonValue],
    method: str,
    rows: Sequence[tuple[str, float, str]],
    *,
    as_json: bool,
) -> None:
    """Figures that are compared between runs, each under a name that stays."""
    if as_json:
        shown: list[JsonValue] = [
            {"name": figure, "value": round(value, 3), "unit": unit} for figure, value, unit in rows
        ]
        emit_json({"bench": name, "machine": here, "method": method, "rows": shown})
        return
    emit_table(("figure", "", ""), [(figure, f"{value:.2f}", unit) for figure, value, unit in rows])
    say(_machine_line(here))
    say(method)


def _emit(
    name: str, here: dict[str, JsonValue], method: str, figures: dict[str, Any], *, as_json: bool
) -> None:
    if as_json:
        emit_json({"bench": name, "machine": here, "method": method, **figures})
        return
    emit_table(("figure", ""), [(label, value) for label, value in _flat(figures)])
    say(_machine_line(here))
    say(method)


def _machine_line(here: dict[str, JsonValue]) -> str:
    loads = f"load {here['load_before']} before and {here['load_after']} after"
    return f"{here['cpu']}, {here['cores']} cores, {loads}."


def _flat(figures: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for label, value in figures.items():
        name = f"{prefix}{label.replace('_', ' ')}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name} ")
        else:
            yield name, f"{value:.2f}" if isinstance(value, float) else str(value)


FIGURES = {"conversation_id", "status", "latency_ms", "stages_ms", "video", "error"}


def barge_in_figures(turns: Sequence[TurnLatency]) -> dict[str, JsonValue]:
    """How long the persona went on after the person began to speak over it."""
    from ops.caller.latency import percentile

    known = [turn.barge_in_silence_ms for turn in turns if turn.barge_in_silence_ms is not None]
    return {
        "turns": len(known),
        "p50": round(percentile(known, 0.5)) if known else None,
        "p95": round(percentile(known, 0.95)) if known else None,
        "max": round(max(known)) if known else None,
    }


def machine(load_before: float) -> dict[str, JsonValue]:
    """What the figures were measured on. Loads are averages over one minute."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
    }


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's own name, as far as the system tells."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
