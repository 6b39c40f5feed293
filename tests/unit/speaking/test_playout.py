"""The playout hands out frames and knows what was played."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from media.speaking.playout import (
    EVENTS_WAITING_MAX,
    FADE_SAMPLES,
    FRAME_SAMPLES,
    PAUSE_FRAMES,
    SENTENCES_QUEUED_MAX,
    Playout,
    PlayoutEvent,
    PlayoutFull,
    PlayoutPosition,
    SentenceEnded,
    SentenceQueuedTwice,
    SentenceStarted,
    WrongSampleRate,
)
from tests.unit.speaking.speech_samples import LEVEL, loud_samples, sentence_id, speech

ONE, TWO, THREE = (sentence_id(number) for number in (1, 2, 3))
TEXT = "We paid it on Thursday."


def frames(playout: Playout, count: int) -> list[bytes]:
    return [playout.next_frame() for _ in range(count)]


def ended(events: tuple[PlayoutEvent, ...]) -> list[SentenceEnded]:
    return [event for event in events if isinstance(event, SentenceEnded)]


def test_an_empty_playout_gives_silence() -> None:
    playout = Playout()

    assert frames(playout, 3) == [bytes(FRAME_SAMPLES * 2)] * 3
    assert playout.events() == ()
    assert playout.position() is None
    assert playout.samples_handed_out == 3 * FRAME_SAMPLES


def test_a_sentence_is_played_sample_for_sample_and_reported_once() -> None:
    playout = Playout()
    frames(playout, 2)
    audio = speech(TEXT, 5 * FRAME_SAMPLES + 100)
    playout.enqueue(ONE, TEXT, audio)

    heard = b"".join(frames(playout, 6))

    assert heard == audio.pcm16 + bytes((FRAME_SAMPLES - 100) * 2)
    started, end = playout.events()
    assert started == SentenceStarted(ONE, at_sample=2 * FRAME_SAMPLES)
    assert end == SentenceEnded(
        sentence_id=ONE,
        at_sample=8 * FRAME_SAMPLES,
        complete=True,
        played_samples=5 * FRAME_SAMPLES + 100,
        played_text=TEXT,
        words=audio.words,
        words_total=5,
        packets=6,
    )
    assert playout.events() == ()


def test_the_end_is_known_with_the_last_frame_and_not_before() -> None:
    playout = Playout()
    playout.enqueue(ONE, TEXT, speech(TEXT, 3 * FRAME_SAMPLES))

    frames(playout, 2)
    assert ended(playout.events()) == []

    frames(playout, 1)
    assert [event.sentence_id for event in ended(playout.events())] == [ONE]


def test_sentences_follow_in_order_with_a_breath_between() -> None:
    playout = Playout()
    playout.enqueue(ONE, "One.", speech("One.", FRAME_SAMPLES))
    playout.enqueue(TWO, "Two.", speech("Two.", FRAME_SAMPLES))

    loud = [loud_samples(frame) > 0 for frame in frames(playout, PAUSE_FRAMES + 2)]

    assert loud == [True, *[False] * PAUSE_FRAMES, True]
    assert [event.sentence_id for event in ended(playout.events())] == [ONE, TWO]


def test_a_sentence_that_comes_after_the_breath_is_not_held_up() -> None:
    playout = Playout()
    playout.enqueue(ONE, "One.", speech("One.", FRAME_SAMPLES))
    frames(playout, 1 + PAUSE_FRAMES)
    playout.enqueue(TWO, "Two.", speech("Two.", FRAME_SAMPLES))

    assert loud_samples(playout.next_frame()) == FRAME_SAMPLES


def test_an_interruption_is_silence_after_a_short_fade() -> None:
    playout = Playout()
    playout.enqueue(ONE, TEXT, speech(TEXT, 50 * FRAME_SAMPLES))
    frames(playout, 10)

    playout.interrupt()
    fade, after = playout.next_frame(), playout.next_frame()

    samples = np.frombuffer(fade, "<i2")
    assert np.all(np.diff(samples.astype(int)) <= 0)
    assert samples[0] == LEVEL
    assert not samples[FADE_SAMPLES:].any()
    assert loud_samples(after) == 0


def test_an_interrupted_sentence_tells_the_words_that_were_played() -> None:
    playout = Playout()
    playout.enqueue(ONE, TEXT, speech(TEXT, 50 * FRAME_SAMPLES))
    # Words are 200 ms each: at 500 ms exactly half of the third was handed out.
    frames(playout, 25)

    playout.interrupt()

    (end,) = ended(playout.events())
    assert (end.complete, end.played_ms, end.packets) == (False, 500, 25)
    assert end.played_text == "We paid it"
    assert (end.words_played, end.words_total) == (3, 5)


def test_a_waiting_sentence_is_dropped_with_nothing_played() -> None:
    playout = Playout()
    playout.enqueue(ONE, TEXT, speech(TEXT, 10 * FRAME_SAMPLES))
    playout.enqueue(TWO, TEXT, speech(TEXT, 10 * FRAME_SAMPLES))
    frames(playout, 2)

    playout.interrupt()

    first, second = ended(playout.events())
    assert (first.sentence_id, first.played_samples) == (ONE, 2 * FRAME_SAMPLES)
    assert second == SentenceEnded(TWO, 2 * FRAME_SAMPLES, False, 0, "", (), 5, 0)
    assert playout.waiting == 0


def test_interrupting_silence_changes_nothing() -> None:
    playout = Playout()
    playout.interrupt()

    assert playout.events() == ()
    assert loud_samples(playout.next_frame()) == 0


def test_the_next_sentence_after_an_interruption_starts_at_once() -> None:
    playout = Playout()
    playout.enqueue(ONE, TEXT, speech(TEXT, 10 * FRAME_SAMPLES))
    frames(playout, 2)
    playout.interrupt()
    frames(playout, 1)
    playout.enqueue(TWO, TEXT, speech(TEXT, FRAME_SAMPLES))

    assert loud_samples(playout.next_frame()) == FRAME_SAMPLES


def test_the_position_follows_the_samples() -> None:
    playout = Playout()
    playout.enqueue(ONE, TEXT, speech(TEXT, 3 * FRAME_SAMPLES))
    assert playout.position() is None

    frames(playout, 2)
    assert playout.position() == PlayoutPosition(ONE, 40)

    frames(playout, 1)
    assert playout.position() is None


def test_at_the_limit_a_sentence_is_refused_and_space_waits() -> None:
    async def scene() -> None:
        playout = Playout()
        for number in range(SENTENCES_QUEUED_MAX):
            playout.enqueue(sentence_id(number), TEXT, speech(TEXT, FRAME_SAMPLES))
        with pytest.raises(PlayoutFull):
            playout.enqueue(sentence_id(99), TEXT, speech(TEXT, FRAME_SAMPLES))
        waiting = asyncio.ensure_future(playout.space())
        await asyncio.sleep(0)
        assert not waiting.done()

        playout.next_frame()
        await waiting

        playout.enqueue(sentence_id(99), TEXT, speech(TEXT, FRAME_SAMPLES))

    asyncio.run(scene())


def test_while_nobody_takes_the_events_no_sentence_is_accepted_and_none_is_lost() -> None:
    async def scene() -> None:
        playout, accepted = Playout(), 0
        for number in range(EVENTS_WAITING_MAX):
            if not playout.has_space:
                break
            playout.enqueue(sentence_id(number), TEXT, speech(TEXT, FRAME_SAMPLES))
            frames(playout, 1 + PAUSE_FRAMES)
            accepted += 1
        with pytest.raises(PlayoutFull):
            playout.enqueue(sentence_id(99), TEXT, speech(TEXT, FRAME_SAMPLES))
        waiting = asyncio.ensure_future(playout.space())
        await asyncio.sleep(0)
        assert not waiting.done()

        events = playout.events()
        await waiting

        assert accepted == EVENTS_WAITING_MAX // 2
        assert len(ended(events)) == accepted

    asyncio.run(scene())


def test_empty_waits_for_the_last_sample_or_an_interruption() -> None:
    async def scene() -> None:
        playout = Playout()
        await playout.empty()
        playout.enqueue(ONE, TEXT, speech(TEXT, 2 * FRAME_SAMPLES))
        waiting = asyncio.ensure_future(playout.empty())
        await asyncio.sleep(0)
        frames(playout, 1)
        await asyncio.sleep(0)
        assert not waiting.done()

        playout.interrupt()
        await waiting

    asyncio.run(scene())


def test_a_sentence_cannot_stand_in_the_queue_twice() -> None:
    playout = Playout()
    playout.enqueue(ONE, TEXT, speech(TEXT, FRAME_SAMPLES))

    with pytest.raises(SentenceQueuedTwice):
        playout.enqueue(ONE, TEXT, speech(TEXT, FRAME_SAMPLES))
    assert playout.waiting == 1


def test_another_sample_rate_is_refused() -> None:
    with pytest.raises(WrongSampleRate, match="48000"):
        Playout().enqueue(ONE, TEXT, speech(TEXT, FRAME_SAMPLES, rate=24_000))
