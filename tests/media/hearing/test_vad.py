"""Speech activity over a stream."""

import numpy as np
import pytest

from media.hearing.vad import FEED_BYTES_MAX, WINDOW_MS, HeardWindow, SpeechActivity, TooMuchAudioAtOnce
from tests.media.hearing.speech import jfk, part, silence, silero


def heard(activity: SpeechActivity, pcm16: bytes, *, size: int) -> list[HeardWindow]:
    pieces = (pcm16[place : place + size] for place in range(0, len(pcm16), size))
    return [window for piece in pieces for window in activity.feed(piece)]


def test_speech_is_told_from_silence() -> None:
    windows = heard(SpeechActivity(silero()), silence(1.0) + part(jfk(), 0.4, 2.2) + silence(1.0), size=640)

    speech = [window.speech >= 0.5 for window in windows]
    assert not any(speech[:28])
    assert np.mean(speech[34:82]) > 0.95
    assert not any(speech[-24:])


def test_how_the_stream_is_cut_changes_nothing() -> None:
    audio = part(jfk(), 0.0, 2.0)

    whole = heard(SpeechActivity(silero()), audio, size=FEED_BYTES_MAX)
    odd = heard(SpeechActivity(silero()), audio, size=641)

    assert odd == whole
    assert b"".join(window.pcm16 for window in whole) == audio[: len(whole) * 1024]
    assert [window.start_ms for window in whole] == [i * WINDOW_MS for i in range(len(whole))]


def test_streams_of_one_model_do_not_hear_each_other() -> None:
    audio, quiet = part(jfk(), 0.0, 1.0), silence(1.0)
    alone = heard(SpeechActivity(silero()), quiet, size=640)

    first, second = SpeechActivity(silero()), SpeechActivity(silero())
    beside: list[HeardWindow] = []
    for place in range(0, len(audio), 640):
        first.feed(audio[place : place + 640])
        beside += second.feed(quiet[place : place + 640])

    assert beside == alone


def test_more_than_a_second_at_once_is_refused() -> None:
    with pytest.raises(TooMuchAudioAtOnce, match="the limit is 32000"):
        SpeechActivity(silero()).feed(silence(1.1))
