"""The floor under any sound, any verdicts and any persona."""

from hypothesis import given
from hypothesis import strategies as st

from domain.conversation.floor import (
    SILENCE_MS_MAX,
    SILENCE_MS_MIN,
    SPEECH_OFF,
    STEP_MS,
    Act,
    Evidence,
    Floor,
    Heard,
    silence_needed_ms,
    step,
)
from domain.conversation.phrases import Phrase

TEXTS = st.sampled_from(["What is it?", "And then", "I, um", "Yes.", "My car was stolen.", "", "to the"])
SOUNDS = st.lists(
    st.tuples(
        st.sampled_from([0.01, 0.4, 0.55, 0.95]),
        st.booleans(),
        st.none() | st.tuples(st.integers(0, 3), st.none() | st.floats(0, 1), st.none() | TEXTS),
        st.integers(1, 12),
    ),
    max_size=40,
)


@given(SOUNDS)
def test_turns_begin_and_end_in_turn_and_silence_ends_every_one(
    sounds: list[tuple[float, bool, tuple[int, float | None, str | None] | None, int]],
) -> None:
    floor, at_ms, open_turn = Floor(), 0, False
    steps = [
        (speech, persona, known if place == 0 else None)
        for speech, persona, known, count in sounds
        for place in range(count)
    ]
    for speech, persona, known in steps + [(0.0, False, None)] * (SILENCE_MS_MAX // STEP_MS + 4):
        at_ms += STEP_MS
        evidence = () if known is None else (Evidence(*known),)
        floor, decision = step(floor, Heard(at_ms, speech, persona, evidence))
        match decision.act:
            case Act.SPEECH_BEGAN | Act.TURN_REOPENED | Act.INTERRUPTED:
                assert not open_turn
                assert (decision.act is Act.INTERRUPTED) == persona
                open_turn = True
            case Act.TURN_ENDED:
                assert open_turn
                assert SILENCE_MS_MIN <= decision.silent_ms <= SILENCE_MS_MAX + STEP_MS
                open_turn = False
            case Act.PAUSE_BEGAN | Act.SPEECH_RESUMED | Act.JUDGE_AGAIN:
                assert open_turn
            case Act.BACKCHANNEL:
                assert persona
                assert not open_turn
            case Act.NONE:
                pass
        assert floor.in_turn == open_turn
        assert not (decision.act is Act.TURN_ENDED and speech >= 0.5)
        assert not (decision.act is Act.PAUSE_BEGAN and speech >= SPEECH_OFF)
    assert not open_turn


@given(
    st.none() | st.floats(0, 1),
    st.none() | st.sampled_from(Phrase),
    st.integers(0, 10_000),
    st.floats(0, 1),
)
def test_the_wait_is_bounded_and_never_shorter_for_a_surer_doubt(
    completion: float | None, phrase: Phrase | None, patience_ms: int, other: float
) -> None:
    needed = silence_needed_ms(completion, phrase, patience_ms=patience_ms)

    assert SILENCE_MS_MIN <= needed <= SILENCE_MS_MAX
    if completion is not None:
        low, high = sorted((completion, other))
        assert silence_needed_ms(high, phrase) <= silence_needed_ms(low, phrase)
