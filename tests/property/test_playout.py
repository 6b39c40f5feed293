"""For any sequence of sentences, frames and interruptions the account of what was played is exact."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ids import SentenceId
from media.speaking.playout import (
    EVENTS_WAITING_MAX,
    FRAME_SAMPLES,
    SENTENCES_QUEUED_MAX,
    Playout,
    PlayoutEvent,
    SentenceEnded,
    SentenceStarted,
)
from tests.unit.speaking.speech_samples import loud_samples, sentence_id, speech

TEXTS = st.lists(st.sampled_from(["We", "paid", "—", "$1,200", "it."]), min_size=1, max_size=8).map(" ".join)
ENQUEUE = st.tuples(st.just("enqueue"), TEXTS, st.integers(0, 5 * FRAME_SAMPLES))
FRAMES = st.tuples(st.just("frames"), st.integers(1, 12), st.none())
INTERRUPT = st.tuples(st.just("interrupt"), st.none(), st.none())
TAKE = st.tuples(st.just("take"), st.none(), st.none())
STEPS = st.lists(st.one_of(ENQUEUE, FRAMES, INTERRUPT, TAKE), max_size=60)


class Scene:
    """Runs steps and keeps everything that was seen."""

    def __init__(self) -> None:
        self.playout = Playout()
        self.texts: dict[SentenceId, str] = {}
        self.samples: dict[SentenceId, int] = {}
        self.events: list[PlayoutEvent] = []
        self.loud = 0

    def run(self, steps: list[tuple[str, object, object]]) -> None:
        for kind, first, second in steps:
            if kind == "enqueue" and self.playout.has_space:
                self.enqueue(str(first), int(str(second)))
            elif kind == "frames":
                self.frames(int(str(first)))
            elif kind == "interrupt":
                self.playout.interrupt()
                self.frames(1, count=False)
            elif kind == "take":
                self.events += self.playout.events()

    def enqueue(self, text: str, samples: int) -> None:
        number = sentence_id(len(self.texts))
        self.texts[number], self.samples[number] = text, samples
        self.playout.enqueue(number, text, speech(text, samples))

    def frames(self, number: int, *, count: bool = True) -> None:
        for _ in range(number):
            loud = loud_samples(self.playout.next_frame())
            self.loud += loud if count else 0

    def finish(self) -> list[SentenceEnded]:
        self.playout.interrupt()
        self.events += self.playout.events()
        return [event for event in self.events if isinstance(event, SentenceEnded)]


@given(STEPS)
@settings(max_examples=250, deadline=None)
def test_every_sentence_ends_exactly_once_in_order(steps: list[tuple[str, object, object]]) -> None:
    scene = Scene()
    scene.run(steps)

    ended = scene.finish()

    assert [event.sentence_id for event in ended] == list(scene.texts)


@given(STEPS)
@settings(max_examples=250, deadline=None)
def test_the_samples_played_are_the_samples_handed_out(steps: list[tuple[str, object, object]]) -> None:
    scene = Scene()
    scene.run(steps)

    ended = scene.finish()

    assert sum(event.played_samples for event in ended) == scene.loud
    for event in ended:
        assert event.complete == (
            event.packets > 0 and event.played_samples == scene.samples[event.sentence_id]
        )
        assert (event.packets - 1) * FRAME_SAMPLES <= event.played_samples <= event.packets * FRAME_SAMPLES


@given(STEPS)
@settings(max_examples=250, deadline=None)
def test_what_was_played_is_a_prefix_of_what_was_committed(steps: list[tuple[str, object, object]]) -> None:
    scene = Scene()
    scene.run(steps)

    for event in scene.finish():
        text = scene.texts[event.sentence_id]
        assert text.startswith(event.played_text)
        assert event.played_text.split() == [word.w for word in event.words]
        assert event.played_text.split() == text.split()[: event.words_played]
        if event.complete:
            assert event.played_text == text
        if not event.packets:
            assert event.played_text == ""


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_a_start_comes_before_its_end_and_only_for_what_was_handed_out(
    steps: list[tuple[str, object, object]],
) -> None:
    scene = Scene()
    scene.run(steps)
    ended = {event.sentence_id: event for event in scene.finish()}

    starts = [event for event in scene.events if isinstance(event, SentenceStarted)]

    assert [event.sentence_id for event in starts] == [key for key in ended if ended[key].packets]
    for start in starts:
        end = ended[start.sentence_id]
        assert scene.events.index(start) < scene.events.index(end)
        assert end.at_sample - start.at_sample == end.packets * FRAME_SAMPLES


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_queue_and_events_stay_within_their_limits(steps: list[tuple[str, object, object]]) -> None:
    scene = Scene()
    for step in steps:
        scene.run([step])
        assert scene.playout.waiting <= SENTENCES_QUEUED_MAX
    scene.playout.interrupt()

    assert len(scene.playout.events()) <= EVENTS_WAITING_MAX
