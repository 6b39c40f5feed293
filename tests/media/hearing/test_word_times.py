"""When each word was said."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from domain.conversation.words import Word
from media.hearing.word_times import WORD_MS_MIN, Span, segments, spread, within_speech


def test_each_token_gets_the_frames_that_it_was_read_from() -> None:
    attention = np.full((3, 10), 0.01, np.float32)
    attention[0, :3] = attention[1, 3:8] = attention[2, 8:] = 0.3

    assert segments(attention) == [(0, 3), (3, 8), (8, 10)]


@given(st.integers(1, 12), st.integers(1, 60), st.integers(0, 10_000))
def test_segments_follow_one_another_over_all_frames(tokens: int, frames: int, seed: int) -> None:
    attention = np.random.default_rng(seed).random((tokens, frames)).astype(np.float32)

    found = segments(attention)

    assert [start for start, _ in found] == [0, *(end for _, end in found[:-1])]
    assert found[-1][1] == frames
    assert all(start <= end for start, end in found)


def test_words_without_times_are_spread_over_speech_and_not_over_pauses() -> None:
    voiced = [Span(100, 400), Span(1000, 1300)]

    assert spread([3, 3], voiced) == [Span(100, 400), Span(1000, 1300)]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=20), st.integers(1, 5_000))
def test_spread_words_are_in_order_within_the_speech(lengths: list[int], length_ms: int) -> None:
    spans = spread(lengths, [Span(50, 50 + length_ms)])

    edges = [edge for span in spans for edge in (span.start_ms, span.end_ms)]
    assert edges == sorted(edges)
    assert edges[0] == 50
    assert edges[-1] == 50 + length_ms


def test_silence_at_a_words_edges_is_taken_off() -> None:
    words = within_speech([Word("so", 0, 900, 1.0)], [Span(300, 700)])

    assert words == (Word("so", 300, 700, 1.0),)


def test_a_word_that_reaches_over_a_pause_lies_where_more_of_it_was_said() -> None:
    words = within_speech([Word("you", 0, 1500, 1.0)], [Span(0, 500), Span(1400, 1800)])

    assert words == (Word("you", 0, 500, 1.0),)


def test_words_keep_a_length_and_do_not_overlap() -> None:
    words = within_speech([Word("a", 0, 500, 1.0), Word("b", 500, 500, 1.0)], [Span(0, 500)])

    assert [(word.start_ms, word.end_ms) for word in words] == [(0, 500), (500, 500 + WORD_MS_MIN)]
