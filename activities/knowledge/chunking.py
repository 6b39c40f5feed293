"""Documents cut into chunks: whole paragraphs under one heading, each with its place in the document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from domain.mind.persona import Document

# Small enough that a chunk is about one thing, large enough that it answers by itself.
CHUNK_WORDS_AIM = 90
CHUNK_WORDS_MAX = 160
HEADING_SEPARATOR = " › "
# A longer line above a rule is a paragraph whose author drew a line under it.
TITLE_WORDS_MAX = 15

_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.*?)[ \t#]*$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_ITEM = re.compile(r"^[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+")
_RULE = re.compile(r"^[ \t]*(?:[-*_][ \t]*){3,}$")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)]?\s+(?=[\"'“‘(]?[A-Z0-9])")
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Chunk:
    """`text` is characters `start` to `end` of the document. `heading` is the path of headings above it."""

    document_id: str
    chunk_id: str
    heading: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Block:
    heading: str
    start: int
    end: int
    words: int


def chunks_of(document: Document) -> tuple[Chunk, ...]:
    """In the order of the document, without overlap; only white space, headings and rules are in none."""
    text = document.text
    blocks = _markdown(document) if document.media_type == "text/markdown" else _paragraphs(text)
    pieces = [piece for block in blocks for piece in _split(text, block)]
    return tuple(
        Chunk(
            document.document_id,
            f"{document.document_id}:{number}",
            merged.heading,
            text[merged.start : merged.end],
            merged.start,
            merged.end,
        )
        for number, merged in enumerate(_merged(pieces))
    )


def _markdown(document: Document) -> Iterator[_Block]:
    path: list[tuple[int, str]] = []
    held: list[tuple[int, int]] = []  # Lines of the block that is being read.
    fenced = False

    def close() -> Iterator[_Block]:
        if held:
            start, end = held[0][0], held[-1][1]
            held.clear()
            yield _block(document.text, _heading(path, document.title), start, end)

    for start, end, line in _lines(document.text):
        if _FENCE.match(line):
            fenced = not fenced
        heading = None if fenced else _HEADING.match(line)
        underline = None if fenced or len(held) != 1 else _UNDERLINE.match(line)
        if heading:
            yield from close()
            path = _under(path, len(heading.group(1)), heading.group(2))
        elif underline and _may_be_title(document.text[held[0][0] : held[0][1]]):
            title = document.text[held[0][0] : held[0][1]].strip()
            held.clear()
            path = _under(path, 1 if underline.group(1).startswith("=") else 2, title)
        elif not fenced and (not line.strip() or _RULE.match(line)):
            yield from close()
        else:
            held.append((start, end))
    yield from close()


def _may_be_title(line: str) -> bool:
    return not _ITEM.match(line) and len(line.split()) <= TITLE_WORDS_MAX


def _under(path: list[tuple[int, str]], level: int, title: str) -> list[tuple[int, str]]:
    return [(above, name) for above, name in path if above < level] + [(level, title)]


def _heading(path: list[tuple[int, str]], title: str) -> str:
    names = [name for _, name in path]
    # A document's first heading often says its title again.
    if names and names[0].casefold() == title.casefold():
        names = names[1:]
    return HEADING_SEPARATOR.join(names)


def _paragraphs(text: str) -> Iterator[_Block]:
    for match in re.finditer(r"\S(?:.|\n(?![ \t]*\n))*", text):
        yield _block(text, "", match.start(), match.end())


def _lines(text: str) -> Iterator[tuple[int, int, str]]:
    start = 0
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        yield start, start + len(bare), bare
        start += len(line)


def _block(text: str, heading: str, start: int, end: int) -> _Block:
    while end > start and text[end - 1].isspace():
        end -= 1
    while start < end and text[start].isspace():
        start += 1
    return _Block(heading, start, end, len(_WORD.findall(text, start, end)))


def _split(text: str, block: _Block) -> Iterator[_Block]:
    """A block that is too long, cut at ends of lines or sentences into about even shares; else at a word."""
    if block.words <= CHUNK_WORDS_MAX:
        if block.words:
            yield block
        return
    share = block.words / -(-block.words // CHUNK_WORDS_MAX)
    cuts = sorted(
        {match.end() for match in _SENTENCE_END.finditer(text, block.start, block.end)}
        | {match.end() for match in re.compile(r"\n").finditer(text, block.start, block.end)}
    )
    words = [match.start() for match in _WORD.finditer(text, block.start, block.end)]
    limit = words[CHUNK_WORDS_MAX]
    wanted = words[min(round(share), CHUNK_WORDS_MAX)]
    fitting = [cut for cut in cuts if block.start < cut <= limit]
    cut = min(fitting, key=lambda place: abs(place - wanted)) if fitting else wanted
    yield _block(text, block.heading, block.start, cut)
    yield from _split(text, _block(text, block.heading, cut, block.end))


def _merged(blocks: list[_Block]) -> list[_Block]:
    """Neighbours under one heading become one chunk while they are small together; a list stays with the
    sentence that introduces it."""
    out: list[_Block] = []
    for block in blocks:
        if out and out[-1].heading == block.heading and out[-1].words + block.words <= CHUNK_WORDS_AIM:
            out[-1] = _Block(block.heading, out[-1].start, block.end, out[-1].words + block.words)
        else:
            out.append(block)
    return out
