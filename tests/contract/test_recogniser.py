"""What every recogniser keeps: the built-in one and the one that reads a script."""

import threading
from collections.abc import Callable

import pytest

from media.hearing.asr import Recogniser
from media.hearing.moonshine import AudioTooLong, RecognitionCancelled
from tests.media.hearing.scripted import ScriptedRecogniser
from tests.media.hearing.speech import jfk, part, recogniser, silence

Make = Callable[[], Recogniser]


@pytest.fixture(params=[recogniser, ScriptedRecogniser], ids=["moonshine", "scripted"])
def reader(request: pytest.FixtureRequest) -> Recogniser:
    make: Make = request.param
    return make()


@pytest.fixture
def speech() -> bytes:
    return part(jfk(), 0.0, 2.5)


def test_words_make_up_the_text_and_follow_one_another_within_the_audio(
    reader: Recogniser, speech: bytes
) -> None:
    read = reader.transcribe(speech, align=True)

    assert read.text == " ".join(word.w for word in read.words)
    assert read.words
    edges = [edge for word in read.words for edge in (word.start_ms, word.end_ms)]
    assert edges == sorted(edges)
    assert 0 <= edges[0] <= edges[-1] <= len(speech) // 32
    assert all(0.0 <= word.confidence <= 1.0 for word in read.words)


def test_a_draft_changes_nothing_in_what_is_read(reader: Recogniser, speech: bytes) -> None:
    plain = reader.transcribe(speech)
    drafted = reader.transcribe(speech, draft=reader.transcribe(speech[: len(speech) // 2]).draft)

    assert drafted.text == plain.text


def test_cancelled_work_stops(reader: Recogniser, speech: bytes) -> None:
    cancelled = threading.Event()
    cancelled.set()

    with pytest.raises(RecognitionCancelled):
        reader.transcribe(speech, cancelled=cancelled)


def test_audio_above_the_limit_is_refused(reader: Recogniser) -> None:
    with pytest.raises(AudioTooLong, match="the limit is 30 s"):
        reader.transcribe(silence(30.1))


def test_a_recogniser_names_itself_and_its_times(reader: Recogniser, speech: bytes) -> None:
    assert reader.name
    assert reader.transcribe(speech, align=True).times in {"aligned", "estimated"}
