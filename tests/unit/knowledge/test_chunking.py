from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.knowledge.chunking import CHUNK_WORDS_AIM, CHUNK_WORDS_MAX, chunks_of
from domain.mind.persona import Document

GUIDE = """# Guide

Before any section.

## Reporting

Tell us within thirty days.

You can also write:

- to the desk
- to the office

### By letter

Use the form.

Payments
--------

We pay by transfer.

```
# not a heading
```
"""


def _markdown(text: str) -> Document:
    return Document(title="Guide", text=text)


def test_chunks_know_the_headings_above_them() -> None:
    chunks = chunks_of(_markdown(GUIDE))
    assert [(chunk.heading, chunk.text.splitlines()[0]) for chunk in chunks] == [
        ("", "Before any section."),
        ("Reporting", "Tell us within thirty days."),
        ("Reporting › By letter", "Use the form."),
        ("Payments", "We pay by transfer."),
    ]
    assert chunks[1].text.endswith("- to the office")
    assert "# not a heading" in chunks[3].text
    assert [chunk.chunk_id for chunk in chunks] == ["guide:0", "guide:1", "guide:2", "guide:3"]


def test_a_chunk_is_exactly_its_characters_of_the_document() -> None:
    assert all(GUIDE[chunk.start : chunk.end] == chunk.text for chunk in chunks_of(_markdown(GUIDE)))


def test_small_paragraphs_are_joined_and_large_ones_stand_alone() -> None:
    small = "Ten words stand in this one short and plain sentence. "
    chunks = chunks_of(_markdown(f"{small * 4}\n\n{small * 4}\n\n{small * 4}"))
    assert [len(chunk.text.split()) for chunk in chunks] == [80, 40]
    assert all(len(chunk.text.split()) <= CHUNK_WORDS_AIM for chunk in chunks)


def test_a_long_paragraph_is_cut_between_sentences_into_like_parts() -> None:
    sentence = "This plain sentence holds exactly nine words of text. "
    chunks = chunks_of(_markdown(sentence * 40))
    assert [len(chunk.text.split()) for chunk in chunks] == [117, 126, 117]
    assert all(chunk.text.startswith("This") and chunk.text.endswith(".") for chunk in chunks)


def test_text_without_sentences_is_still_bounded() -> None:
    chunks = chunks_of(Document(title="Words", text="word " * 1000, media_type="text/plain"))
    assert max(len(chunk.text.split()) for chunk in chunks) <= CHUNK_WORDS_MAX
    assert sum(len(chunk.text.split()) for chunk in chunks) == 1000


def test_plain_text_has_no_headings() -> None:
    document = Document(title="Notes", text="# One\nmore\n\nTwo", media_type="text/plain")
    assert [(chunk.heading, chunk.text) for chunk in chunks_of(document)] == [("", "# One\nmore\n\nTwo")]


@pytest.mark.parametrize("media_type", ["text/markdown", "text/plain"])
@given(
    lines=st.lists(
        st.sampled_from(["# A", "## B", "---", "", "- x", "```", "Some words. More words.", "w " * 90])
    )
)
def test_chunks_never_overlap_and_lose_no_words(media_type: str, lines: list[str]) -> None:
    text = "\n".join(["Start.", *lines])
    document = Document.model_validate({"title": "T", "text": text, "media_type": media_type})
    chunks = chunks_of(document)
    end = 0
    for chunk in chunks:
        assert end <= chunk.start < chunk.end
        assert text[chunk.start : chunk.end] == chunk.text
        assert 0 < len(chunk.text.split()) <= CHUNK_WORDS_MAX
        end = chunk.end
    kept = " ".join(chunk.text for chunk in chunks).split().count("w")
    assert kept == text.split().count("w")
