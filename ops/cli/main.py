"""`vivavoce`: everything that can be done from a shell.

Command modules import what they need inside their functions, so that `vivavoce --help` answers at once and
no command loads torch that does not draw or speak.
"""

from __future__ import annotations

import sys

import typer

from ops.cli import bench, conversation, demo, models, persona, process, stack
from ops.cli.errors import STOP_EXIT_CODE, Stop
from ops.cli.output import say

app = typer.Typer(
    name="vivavoce",
    help="Real-time conversational video on a record that is written while it happens.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
stack.add_to(app)
demo.add_to(app)
app.add_typer(conversation.app, name="conversation")
app.add_typer(persona.app, name="persona")
app.add_typer(models.app, name="models")
app.add_typer(bench.app, name="bench")
app.add_typer(process.app, name="process")


def main() -> None:
    """The console script. What the person can mend is one sentence and exit code 2; a fault of ours keeps its
    traceback."""
    try:
        sys.exit(run(sys.argv[1:]))
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        sys.stderr.close()
        sys.exit(0)


def run(arguments: list[str]) -> int:
    """The exit code of a command line."""
    from domain.errors import VivavoceError
    from media.models import ModelError

    try:
        app(arguments)
    except (Stop, VivavoceError, ModelError) as stopped:
        say(sentence(stopped))
        return STOP_EXIT_CODE
    except SystemExit as left:
        # Misuse has been explained by then.
        return left.code if isinstance(left.code, int) else 0
    return 0


def sentence(error: Exception) -> str:
    """The error's own words as a sentence."""
    from domain.errors import sentence as sentence_of

    return sentence_of(str(error) or type(error).__name__)


if __name__ == "__main__":
    main()
