"""Looks for words in everything that an installation leaves behind, but for where they belong."""

from __future__ import annotations

import base64
import gzip
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

# What Postgres keeps its rows in, and where recordings are: words belong there.
RECORD = ("postgres/base", "postgres/data/base", "postgres/pg_wal", "postgres/data/pg_wal", "recordings")
GZIP = b"\x1f\x8b"


def forms(word: str) -> set[bytes]:
    """As plain text in both letter cases, as two-byte text, escaped as in addresses, and inside base64 at
    each of the three places at which it can begin there."""
    found: set[bytes] = set()
    for text in {word, word.lower(), word.upper()}:
        plain = text.encode()
        found |= {
            plain,
            text.encode("utf-16-le"),
            text.replace(" ", "+").encode(),
            text.replace(" ", "%20").encode(),
        }
        for shift in range(3):
            # Letters of base64 that also depend on the neighbours are left out.
            inside = base64.b64encode(b"\0" * shift + plain)[(shift * 8 + 5) // 6 :]
            found.add(inside.rstrip(b"=")[:-1])
    return found


def traces(words: Iterable[str], haystack: bytes) -> list[str]:
    return [word for word in words if any(form in haystack for form in forms(word))]


def traces_in_files(folder: Path, words: Sequence[str]) -> list[tuple[str, str]]:
    """(file, word) for each of the words in the name of any file under the folder, or in what it holds;
    record and recordings are looked at by name alone."""
    found: list[tuple[str, str]] = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found += [(name, word) for word in traces(words, name.encode())]
        if path.is_file() and not path.is_symlink() and not name.startswith(RECORD):
            # A file of the servers may go while it is looked for.
            with suppress(FileNotFoundError):
                found += [(name, word) for word in traces(words, path.read_bytes())]
    return found


def traces_in_sqlite(database: Path, words: Sequence[str]) -> list[tuple[str, str]]:
    """(table, word) for what the rows hold, with what is compressed in them opened."""
    found: list[tuple[str, str]] = []
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = [
            name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")
        ]
        for table in tables:
            for row in connection.execute(f'select * from "{table}"'):
                for value in row:
                    raw = value if isinstance(value, bytes) else str(value).encode()
                    for opened in (raw, *_opened(raw)):
                        found += [(table, word) for word in traces(words, opened)]
    return found


def _opened(raw: bytes) -> Iterator[bytes]:
    if raw.startswith(GZIP):
        with suppress(OSError, EOFError, zlib.error):
            yield gzip.decompress(raw)
    for bits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        with suppress(zlib.error):
            yield zlib.decompress(raw, bits)
