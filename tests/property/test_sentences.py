"""However text arrives, the sentences are the same, none is too long, and nothing is lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.mind.sentences import LOOKAHEAD_CHARS, SENTENCE_CHARS_MAX, SentenceBuffer, split_sentences

PIECES = st.sampled_from(
    [
        "Hello", "claim", "Dr.", "etc.", "No.", "p.m.", "I", "J.", "5", "1.", "$1,200.50", "e.g.", "x" * 90,
        "a@b.example", ".", "?", "!", "…", "...", '"', "”", ")", "(", "—", ",", ";", "-",
        "\n", " ", "   ", "\t", "and", "because", "é", "你", "👍",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=120).map(" ".join) | st.lists(PIECES, max_size=120).map("".join) | st.text()


def alphanumerics(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


@given(TEXTS, st.data())
@settings(max_examples=300, deadline=None)
def test_any_way_of_cutting_the_stream_gives_the_same_sentences(text: str, data: st.DataObject) -> None:
    buffer, out, at = SentenceBuffer(), list[str](), 0
    while at < len(text):
        size = data.draw(st.integers(1, max(1, len(text) // 3)))
        sentences, buffer = buffer.feed(text[at : at + size])
        out += sentences
        at += size
    out += buffer.finish()

    assert tuple(out) == split_sentences(text)


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_every_letter_and_digit_is_kept_in_order(text: str) -> None:
    assert alphanumerics("".join(split_sentences(text))) == alphanumerics(text)


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_sentences_are_bounded_single_lines_with_something_to_say(text: str) -> None:
    for sentence in split_sentences(text):
        assert len(sentence) <= SENTENCE_CHARS_MAX
        assert sentence == " ".join(sentence.split())
        assert alphanumerics(sentence)


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_the_buffer_never_holds_more_than_a_sentence_and_its_lookahead(text: str) -> None:
    buffer = SentenceBuffer()
    for char in text:
        _, buffer = buffer.feed(char)
        assert len(buffer.pending) <= SENTENCE_CHARS_MAX + LOOKAHEAD_CHARS
