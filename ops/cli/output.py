"""What commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence

from pydantic import JsonValue
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Without a terminal nothing is cut to a width that nobody has.
PIPED_WIDTH = 200

result = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)
aside = Console(stderr=True, highlight=False, soft_wrap=True)


def emit_json(document: Mapping[str, JsonValue]) -> None:
    """The one document of `--json`."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    sys.stdout.flush()


def emit_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table for people; cells are shown as they are, never read as markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    result.print(table, soft_wrap=False)


def say(text: str) -> None:
    """A line beside the result."""
    aside.print(Text(text))
