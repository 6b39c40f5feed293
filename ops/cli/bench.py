"""`bench`: figures of this machine, with the machine and the method beside them."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.demo import FAILED_EXIT_CODE, Audio, BargeIn, PersonaFile, show
from ops.cli.options import DATA_DEFAULT, AsJson, Data, Models, models_folder
from ops.cli.output import emit_json, emit_table, result, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue

    from ops.caller.latency import TurnLatency

app = typer.Typer(
    no_args_is_help=True, help="Measure this machine. Each figure comes with how it was measured."
)

TURNS_DEFAULT = 20
TURNS_MAX = 300

CALL_METHOD = (
    "An aiortc caller on this machine, in a process of its own, plays speech in real time at 20 ms frames. "
    "Latency runs from the packet with the last speech sample sent to the first packet with persona speech "
    "received, before the jitter buffer; speech is 10 ms windows above -40 dBFS. Barge-in silence runs from "
    "the first speech sample sent to the last persona speech before its pause."
)


@app.command()
def call(
    *,
    turns: Annotated[int, typer.Option(min=1, max=TURNS_MAX, help="How many things to say.")] = TURNS_DEFAULT,
    audio: Audio = None,
    barge_in: BargeIn = None,
    persona: PersonaFile = None,
    data: Data = DATA_DEFAULT,
    models: Models = None,
    as_json: AsJson = False,
) -> None:
    """From end of speech to first persona audio, over many turns of one call."""
    from ops.caller.document import document
    from ops.caller.latency import measure
    from ops.cli.calling import Wanted, run_to_end

    load_before = os.getloadavg()[0]
    wanted = Wanted(audio or (), turns, barge_in, persona, None, data, models_folder(models))
    outcome = run_to_end(wanted)
    shown = document(outcome, saved=None)
    silence = barge_in_figures(measure(outcome.spoken, outcome.replies))
    here = machine(load_before)
    if as_json:
        figures = shown.model_dump(mode="json", include=FIGURES)
        emit_json(
            {
                "bench": "call",
                "machine": here,
                "method": CALL_METHOD,
                **figures,
                "barge_in_silence_ms": silence,
            }
        )
    else:
        show(shown)
        if silence["turns"]:
            emit_table(("barge-in silence", "ms"), [(name, str(value)) for name, value in silence.items()])
        result.print()
        say(
            f"{here['cpu']}, {here['cores']} cores, load {here['load_before']} before "
            f"and {here['load_after']} after."
        )
        say(CALL_METHOD)
    if outcome.error is not None:
        raise typer.Exit(FAILED_EXIT_CODE)


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
