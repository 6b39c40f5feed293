"""`demo`: one whole conversation without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.errors import STOP_EXIT_CODE, Stop
from ops.cli.options import DATA_DEFAULT, AsJson, Data, Models, models_folder
from ops.cli.output import emit_json, emit_table, result, say

if TYPE_CHECKING:
    from ops.caller.document import CallDocument

FAILED_EXIT_CODE = 1
BARGE_IN_S_MAX = 60.0

Audio = Annotated[
    list[Path] | None,
    typer.Option(
        "--audio", help="A recording to play, in any format; may be given again. [default: three questions]"
    ),
]
BargeIn = Annotated[
    float | None,
    typer.Option(
        "--barge-in",
        min=0.0,
        max=BARGE_IN_S_MAX,
        help="From the second recording on, begin so many seconds after the persona began to speak.",
    ),
]
PersonaFile = Annotated[
    Path | None, typer.Option("--persona", help="A persona file to publish and call. [default: the example]")
]


def add_to(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    *,
    audio: Audio = None,
    barge_in: BargeIn = None,
    persona: PersonaFile = None,
    save: Annotated[
        Path | None, typer.Option("--save", help="Folder for what was heard and seen, and the events.")
    ] = None,
    data: Data = DATA_DEFAULT,
    models: Models = None,
    as_json: AsJson = False,
) -> None:
    """Calls a persona over WebRTC, plays recordings to it, hangs up and waits for the seal.

    Uses the stack that runs in the data folder, or starts one of its own and stops it. Latency runs from the
    last speech sample sent to the first one received, measured at the packet. Exit code 1 when the
    conversation was not sealed.
    """
    from domain.errors import VivavoceError
    from media.models import ModelError
    from ops.caller.document import document
    from ops.caller.errors import CallFailed
    from ops.caller.ring import Outcome
    from ops.cli.calling import SAVED_NAMES, Wanted, run_to_end

    wanted = Wanted(audio or (), None, barge_in, persona, save, data, models_folder(models))
    code = FAILED_EXIT_CODE
    try:
        outcome = run_to_end(wanted)
    except CallFailed as failure:
        outcome = Outcome(error=str(failure))
    except (Stop, VivavoceError, ModelError) as failure:
        # There is no stack to call: for the person to mend, as with every other command.
        if not as_json:
            raise
        outcome, code = Outcome(error=str(failure)), STOP_EXIT_CODE
    called = outcome.conversation_id is not None
    shown = document(outcome, saved=SAVED_NAMES if save is not None and called else None)
    if as_json:
        emit_json(shown.model_dump(mode="json"))
    elif called:
        show(shown)
    else:
        say(f"Failed: {outcome.error}")
    if outcome.error is not None:
        raise typer.Exit(code)


def show(call: CallDocument) -> None:
    """The document for people."""
    emit_table(
        ("", "who", "from", "said"),
        [
            (
                str(row.turn),
                row.role,
                f"{row.words[0].start_s:.1f} s" if row.words else "",
                f"{row.played_text} [interrupted]" if row.interrupted else row.text,
            )
            for row in call.transcript
        ],
    )
    result.print()
    figures = call.latency_ms
    emit_table(
        ("from end of speech to first audio", "ms"),
        [
            ("p50", _number(figures.p50)),
            ("p95", _number(figures.p95)),
            ("max", _number(figures.max)),
            ("each", ", ".join("no answer" if each is None else str(each) for each in figures.each)),
            ("answers that began too early", str(figures.cut_ins)),
        ],
    )
    result.print()
    emit_table(
        ("where it goes, median", "ms"),
        [(name.replace("_", " "), _number(value)) for name, value in call.stages_ms.model_dump().items()],
    )
    result.print()
    video = call.video
    say(f"Video: {video.frames} frames, {video.fps} a second, longest gap {video.longest_gap_ms} ms.")
    say(
        f"Record: {sum(call.events.values())} events of {len(call.events)} types, "
        f"conversation {call.conversation_id}."
    )
    say("Sealed." if call.error is None else f"Failed: {call.error}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"
