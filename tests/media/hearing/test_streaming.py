"""Recognition of a stream: what is read when, and that nothing is lost."""

from collections.abc import Sequence

import pytest

from domain.conversation.words import Word
from media.hearing import asr
from media.hearing.asr import (
    FORGET_MS,
    LEAD_IN_MS,
    PARTIAL_INTERVAL_MS,
    PENDING_MS_MAX,
    PIECE_MS_MAX,
    PIECE_MS_MIN,
    Done,
    Job,
    StreamingRecogniser,
    Utterance,
    joined,
)
from media.hearing.vad import WINDOW_MS, HeardWindow, SpeechActivity
from tests.media.hearing.scripted import ScriptedRecogniser
from tests.media.hearing.speech import JFK_TEXT, jfk, recogniser, silence, silero, word_errors

SAMPLES = b"\1\0" * 512


class Stream:
    """Feeds sound that is told in milliseconds."""

    def __init__(self) -> None:
        self.recogniser = StreamingRecogniser()
        self.at_ms = 0

    def hear(self, ms: int, speech: float) -> None:
        for _ in range(ms // WINDOW_MS):
            self.recogniser.feed(HeardWindow(self.at_ms, speech, SAMPLES))
            self.at_ms += WINDOW_MS

    def speak(self, ms: int) -> None:
        self.hear(ms, 0.95)

    def be_silent(self, ms: int) -> None:
        self.hear(ms, 0.02)


def run(stream: Stream, job: Job | None) -> Job:
    assert job is not None
    stream.recogniser.accept(job.run(ScriptedRecogniser()))
    return job


def test_a_reading_in_the_pause_makes_the_utterance_free_of_charge() -> None:
    stream = Stream()
    stream.be_silent(960)
    stream.speak(1_280)
    stream.be_silent(64)

    job = run(stream, stream.recogniser.final_job())
    settled_in_pause = stream.recogniser.settled
    stream.be_silent(256)
    utterance = stream.recogniser.take()

    assert settled_in_pause
    assert stream.recogniser.final_job() is None
    assert job.start_ms == 960 - LEAD_IN_MS
    assert utterance is not None
    assert (utterance.started_ms, utterance.ended_ms, utterance.times) == (960, 2_240, "aligned")
    assert utterance.lost_ms == 0


def test_speech_after_the_pause_is_read_again_with_what_was_read_as_draft() -> None:
    stream = Stream()
    stream.speak(1_280)
    stream.be_silent(64)
    first = run(stream, stream.recogniser.final_job())
    stream.speak(640)

    assert not stream.recogniser.settled
    second = stream.recogniser.final_job()
    assert second is not None
    assert first.draft == ()
    assert second.draft == first.run(ScriptedRecogniser()).recognition.draft
    assert second.end_ms == stream.at_ms


def test_partials_come_after_enough_new_speech_and_no_sooner() -> None:
    stream = Stream()
    stream.speak(PARTIAL_INTERVAL_MS - WINDOW_MS)
    too_early = stream.recogniser.partial_job()
    stream.speak(WINDOW_MS)

    run(stream, stream.recogniser.partial_job())

    assert too_early is None
    assert stream.recogniser.partial_job() is None
    assert stream.recogniser.so_far().startswith("W0 w1")


def test_long_speech_is_read_in_pieces_cut_at_its_longest_pause() -> None:
    stream = Stream()
    stream.speak(4_000)
    stream.be_silent(320)
    stream.speak(PIECE_MS_MAX)

    piece = run(stream, stream.recogniser.partial_job())

    assert piece.commits
    assert 4_000 <= piece.end_ms <= 4_320
    last = stream.recogniser.final_job()
    assert last is not None
    assert len(last.pcm16) // 32 <= PIECE_MS_MAX + LEAD_IN_MS + asr.TAIL_MS


def test_speech_without_a_pause_is_cut_where_it_sounds_least_like_speech() -> None:
    stream = Stream()
    stream.speak(6_400)
    stream.hear(WINDOW_MS, 0.6)
    stream.speak(PIECE_MS_MAX)

    piece = stream.recogniser.partial_job()

    assert piece is not None
    assert PIECE_MS_MIN <= piece.end_ms == 6_400 + WINDOW_MS


@pytest.mark.parametrize("seconds", [8, 20, 45])
def test_no_reading_takes_much_more_than_a_piece_however_long_someone_speaks(seconds: int) -> None:
    stream, reader = Stream(), ScriptedRecogniser()
    for _ in range(seconds * 1000 // WINDOW_MS):
        stream.speak(WINDOW_MS)
        if (job := stream.recogniser.partial_job()) is not None:
            stream.recogniser.accept(job.run(reader))

    utterance = stream.recogniser.finish(reader)

    assert utterance is not None
    assert utterance.lost_ms == 0
    assert max(length for length, _ in reader.calls) <= PIECE_MS_MAX + LEAD_IN_MS + asr.TAIL_MS
    covered = sum(word.end_ms - word.start_ms for word in utterance.words)
    assert covered >= (utterance.ended_ms - utterance.started_ms) * 0.9


def test_a_result_that_was_overtaken_is_dropped() -> None:
    stream, reader = Stream(), ScriptedRecogniser()
    stream.speak(640)
    early = stream.recogniser.final_job()
    assert early is not None
    old = early.run(reader)
    stream.speak(640)
    run(stream, stream.recogniser.final_job())
    text = stream.recogniser.so_far()

    stream.recogniser.accept(old)
    after_old = stream.recogniser.so_far()
    stream.recogniser.take()
    stream.speak(640)
    stream.recogniser.accept(old)

    assert after_old == text
    assert stream.recogniser.so_far() == ""


def test_speech_that_the_machine_is_too_slow_for_is_counted_as_lost() -> None:
    stream = Stream()
    stream.speak(PENDING_MS_MAX + 3_200)

    utterance = stream.recogniser.finish(ScriptedRecogniser())

    assert utterance is not None
    assert 3_200 - WINDOW_MS <= utterance.lost_ms <= 3_200 + WINDOW_MS


def test_an_utterance_of_the_greatest_length_hands_over_without_losing_the_next_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asr, "PIECES_MAX", 2)
    stream, reader = Stream(), ScriptedRecogniser()
    taken: list[Utterance | None] = []
    for _ in range(30_400 // WINDOW_MS):
        stream.speak(WINDOW_MS)
        if (job := stream.recogniser.partial_job()) is not None:
            stream.recogniser.accept(job.run(reader))
        if stream.recogniser.full:
            taken.append(stream.recogniser.take())
    taken.append(stream.recogniser.finish(reader))

    spans = [(utterance.started_ms, utterance.ended_ms) for utterance in taken if utterance is not None]
    assert len(spans) >= 2
    assert spans[0][0] == 0
    assert spans[-1][1] == stream.at_ms
    words = [word for utterance in taken if utterance is not None for word in utterance.words]
    assert sum(word.end_ms - word.start_ms for word in words) >= stream.at_ms * 0.9


def test_what_was_said_beyond_the_greatest_length_is_kept_once_and_in_its_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given an utterance of the greatest length, when a pause and more speech follow before it is taken
    monkeypatch.setattr(asr, "PIECES_MAX", 1)
    stream, reader = Stream(), ScriptedRecogniser()
    stream.speak(9_600)
    job = stream.recogniser.partial_job()
    assert job is not None
    stream.recogniser.accept(job.run(reader))
    stream.be_silent(640)
    stream.speak(1_280)
    stream.be_silent(640)
    first = stream.recogniser.take()

    # Then the next one holds what follows the piece, and nothing of it twice
    rest = stream.recogniser.final_job()
    assert first is not None
    assert rest is not None
    assert len(rest.pcm16) // 32 <= rest.end_ms - rest.start_ms
    assert first.ended_ms == rest.start_ms == job.end_ms
    assert rest.end_ms == stream.at_ms


def test_a_click_is_forgotten_and_the_speech_long_after_it_begins_by_itself() -> None:
    stream = Stream()
    stream.hear(WINDOW_MS, 0.9)
    stream.be_silent(FORGET_MS - WINDOW_MS)
    kept = stream.recogniser.active
    stream.be_silent(2 * WINDOW_MS)
    forgotten = not stream.recogniser.active
    stream.be_silent(960)
    began_ms = stream.at_ms
    stream.speak(640)

    job = stream.recogniser.final_job()

    assert kept
    assert forgotten
    assert job is not None
    assert job.start_ms == began_ms - LEAD_IN_MS


def test_a_click_shortly_before_speech_is_left_out() -> None:
    stream = Stream()
    stream.hear(WINDOW_MS, 0.9)
    stream.be_silent(960)
    stream.speak(640)

    job = stream.recogniser.final_job()

    assert job is not None
    assert job.start_ms == WINDOW_MS + 960 - LEAD_IN_MS


def test_nobody_speaking_is_no_utterance() -> None:
    stream = Stream()
    stream.be_silent(3_200)

    assert stream.recogniser.final_job() is None
    assert stream.recogniser.take() is None


def words(text: str) -> Sequence[Word]:
    return [Word(word, 0, 0) for word in text.split()]


def test_a_piece_that_goes_on_with_a_sentence_loses_its_capital() -> None:
    text = " ".join(word.w for word in joined([words("ask not"), words("What your country"), words("I do.")]))

    assert text == "Ask not what your country I do."


def test_a_piece_after_a_full_stop_keeps_its_capital() -> None:
    assert [word.w for word in joined([words("Ask not."), words("What is it?")])][2] == "What"


def test_recorded_speech_is_read_while_it_is_heard() -> None:
    activity, stream, reader = SpeechActivity(silero()), StreamingRecogniser(), recogniser()
    audio = jfk() + silence(0.5)
    done: list[Done] = []
    for place in range(0, len(audio), 640):
        for window in activity.feed(audio[place : place + 640]):
            stream.feed(window)
            if (job := stream.partial_job()) is not None:
                done.append(job.run(reader))
                stream.accept(done[-1])

    utterance = stream.finish(reader)

    assert utterance is not None
    assert word_errors(JFK_TEXT, utterance.text) <= 0.10
    assert utterance.times == "aligned"
    assert any(one.job.commits for one in done)
    edges = [edge for word in utterance.words for edge in (word.start_ms, word.end_ms)]
    assert edges == sorted(edges)
    assert utterance.started_ms <= edges[0]
    assert utterance.confidence > 0.7
    # Each "ask" follows a long pause: the recording's sound begins again at 3.3 and 8.2 s.
    asks = [word.start_ms for word in utterance.words if word.w == "ask"]
    assert asks == [pytest.approx(3_300, abs=200), pytest.approx(8_200, abs=300)]
