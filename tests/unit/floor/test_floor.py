"""Who holds the floor, step by step of 32 ms."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from domain.conversation import floor as policy
from domain.conversation.floor import (
    INTERRUPTION_MS,
    LATE_VERDICT_MS,
    PATIENCE_MS_MAX,
    PATIENCE_STEP_MS,
    SILENCE_MS_MAX,
    SILENCE_MS_MIN,
    STEP_MS,
    Act,
    Decision,
    Ending,
    Evidence,
    Floor,
    Heard,
    silence_needed_ms,
    step,
)
from domain.conversation.phrases import Phrase
from domain.events.catalogue import FloorState


@dataclass
class Room:
    """A conversation of which the sound is told in milliseconds."""

    floor: Floor = field(default_factory=Floor)
    at_ms: int = 0
    persona_speaking: bool = False
    decisions: list[Decision] = field(default_factory=list)

    def hear(self, ms: int, speech: float, *evidence: Evidence) -> list[Act]:
        """The acts of this stretch, without the steps in which there was nothing to do."""
        acts: list[Act] = []
        for _ in range(ms // STEP_MS):
            self.at_ms += STEP_MS
            heard = Heard(self.at_ms, speech, self.persona_speaking, evidence)
            evidence = ()
            self.floor, decision = step(self.floor, heard)
            self.decisions.append(decision)
            if decision.act is not Act.NONE:
                acts.append(decision.act)
        return acts

    def speak(self, ms: int, *evidence: Evidence) -> list[Act]:
        return self.hear(ms, 0.95, *evidence)

    def be_silent(self, ms: int, *evidence: Evidence) -> list[Act]:
        return self.hear(ms, 0.02, *evidence)

    def pause(self, text: str | None, completion: float | None) -> Evidence:
        """Enters a pause; what is known about it then."""
        assert self.be_silent(64) == [Act.PAUSE_BEGAN]
        return Evidence(self.floor.pause, completion=completion, text=text)

    def silence_until_end(self, *evidence: Evidence) -> int:
        """Silent from the last speech until the turn ended."""
        waited = 0
        while self.floor.in_turn:
            self.be_silent(STEP_MS, *evidence)
            evidence = ()
            waited += STEP_MS
            assert waited <= 10_000, "the turn never ended"
        return self.decisions[-1].silent_ms


def ended_after(text: str | None, completion: float | None) -> int:
    room = Room()
    room.speak(1_600)
    return room.silence_until_end(room.pause(text, completion))


def test_a_pause_asks_for_recognition_and_judgement_long_before_the_turn_ends() -> None:
    room = Room()

    began = room.speak(640)
    paused = room.be_silent(64)

    assert began == [Act.SPEECH_BEGAN]
    assert paused == [Act.PAUSE_BEGAN]
    assert room.decisions[-1].silent_ms == 64
    assert room.decisions[-1].state is FloorState.PAUSE


def test_a_finished_question_ends_the_turn_within_a_fifth_of_a_second_of_silence() -> None:
    assert ended_after("What does my policy cover?", 0.95) == SILENCE_MS_MIN


def test_a_sentence_cut_in_the_middle_waits_although_it_sounds_finished() -> None:
    assert ended_after("I would like to know whether.", 0.98) >= 1_600


def test_doubt_of_the_judge_lengthens_the_wait() -> None:
    waits = [ended_after("My car was stolen last night.", p) for p in (0.9, 0.6, 0.3, 0.05)]

    assert waits == sorted(waits)
    assert len(set(waits)) == 4


def test_however_unfinished_it_sounds_the_turn_ends() -> None:
    room = Room()
    room.speak(1_600)

    silent_ms = room.silence_until_end(room.pause("I would like to, um", 0.0))

    assert silent_ms == SILENCE_MS_MAX
    assert room.decisions[-1].ending is Ending.SILENCE


def test_a_turn_about_which_nothing_becomes_known_ends_by_itself() -> None:
    room = Room()
    room.speak(640)
    room.be_silent(64)

    assert LATE_VERDICT_MS <= room.silence_until_end() < LATE_VERDICT_MS + STEP_MS
    assert room.decisions[-1].ending is Ending.SILENCE


def test_speech_after_a_pause_goes_on_with_the_same_turn() -> None:
    room = Room()
    room.speak(640)
    evidence = room.pause("And so my fellow Americans.", 0.95)

    silent = room.be_silent(960, evidence)
    spoken = room.speak(320)

    assert Act.TURN_ENDED not in silent
    assert spoken == [Act.SPEECH_RESUMED]


def test_evidence_about_an_earlier_pause_ends_nothing() -> None:
    room = Room()
    room.speak(640)
    stale = room.pause("What is my limit?", 0.99)
    room.speak(640)
    room.be_silent(64)

    assert room.be_silent(320, stale) == [Act.JUDGE_AGAIN]


def test_one_click_in_a_pause_neither_resumes_nor_restarts_the_wait() -> None:
    room = Room()
    room.speak(640)
    evidence = room.pause("My car was stolen last night.", 0.6)
    room.be_silent(96, evidence)
    room.hear(32, 0.9)

    assert room.silence_until_end() <= 480 + STEP_MS


def test_the_judge_is_asked_again_as_a_pause_goes_on() -> None:
    room = Room()
    room.speak(640)
    evidence = room.pause("I would like to know whether.", 0.3)

    acts = room.be_silent(1_500, evidence)

    assert acts == [Act.JUDGE_AGAIN, Act.JUDGE_AGAIN]
    asked = [decision.silent_ms for decision in room.decisions if decision.act is Act.JUDGE_AGAIN]
    assert asked == [256, 640]


def test_a_click_begins_no_turn() -> None:
    room = Room()

    assert room.hear(64, 0.9) + room.be_silent(3_000) == []


@pytest.mark.parametrize("quiet_ms", [0, 320])
def test_speech_over_the_persona_interrupts_within_200_ms(quiet_ms: int) -> None:
    room = Room(persona_speaking=True)
    room.be_silent(quiet_ms)

    acts = room.speak(INTERRUPTION_MS)

    assert acts == [Act.INTERRUPTED]
    first = next(d for d in range(len(room.decisions)) if room.decisions[d].act is Act.INTERRUPTED)
    assert (first + 1) * STEP_MS - quiet_ms <= 200
    assert room.decisions[first].state is FloorState.OVERLAP


def test_a_short_sound_beside_the_persona_stops_nothing() -> None:
    room = Room(persona_speaking=True)
    room.be_silent(320)

    acts = room.speak(96) + room.be_silent(320)

    assert acts == [Act.BACKCHANNEL]


def test_an_interruption_becomes_a_turn_that_ends_like_any_other() -> None:
    room = Room(persona_speaking=True)
    room.speak(320)
    room.persona_speaking = False
    room.speak(640)

    assert room.silence_until_end(room.pause("What is my limit?", 0.9)) == SILENCE_MS_MIN


def test_going_on_right_after_the_end_reopens_the_turn_and_earns_patience() -> None:
    room = Room()
    room.speak(640)
    first = room.silence_until_end(room.pause("What is my limit?", 0.9))
    room.be_silent(320)

    reopened = room.speak(640)
    second = room.silence_until_end(room.pause("What is my limit for water?", 0.9))

    assert reopened == [Act.TURN_REOPENED]
    assert second == first + PATIENCE_STEP_MS


def test_a_turn_after_the_persona_answered_is_a_new_one() -> None:
    room = Room()
    room.speak(640)
    room.silence_until_end(room.pause("What is my limit?", 0.9))
    room.persona_speaking = True
    room.be_silent(640)
    room.persona_speaking = False

    assert room.speak(640) == [Act.SPEECH_BEGAN]


def test_patience_has_a_limit() -> None:
    room = Room()
    for _ in range(20):
        room.speak(640)
        room.silence_until_end(room.pause("What is my limit?", 0.9))
        room.be_silent(128)

    assert room.floor.patience_ms <= PATIENCE_MS_MAX
    assert silence_needed_ms(0.0, Phrase.HESITATION, patience_ms=PATIENCE_MS_MAX) == SILENCE_MS_MAX


def test_a_sound_that_never_stops_is_no_turn_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "TURN_MS_MAX", 3_200)
    room = Room()

    acts = room.speak(3_520)

    assert acts == [Act.SPEECH_BEGAN, Act.TURN_ENDED, Act.SPEECH_BEGAN]
    assert room.decisions[[d.act for d in room.decisions].index(Act.TURN_ENDED)].ending is Ending.TOO_LONG


def acts_of(decisions: Sequence[Decision]) -> list[Act]:
    return [decision.act for decision in decisions if decision.act is not Act.NONE]


def test_the_same_sound_gives_the_same_decisions() -> None:
    def run() -> list[Act]:
        room = Room()
        room.speak(640)
        room.silence_until_end(room.pause("Yes.", 0.4))
        return acts_of(room.decisions)

    assert run() == run() == [Act.SPEECH_BEGAN, Act.PAUSE_BEGAN, Act.JUDGE_AGAIN, Act.TURN_ENDED]
