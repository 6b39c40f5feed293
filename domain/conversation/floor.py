"""Who holds the floor: decided anew for every 32 ms of the participant's sound.

A pure state machine. It sees how surely someone speaks, whether the persona speaks, and, during a pause, what
the end-of-turn judge and the recogniser made of the speech so far. It says when a pause began (the moment to
recognise and to judge, before anything is decided), when the turn is over, and when the persona must stop.

While the persona speaks, every voiced sound of INTERRUPTION_MS counts as an interruption; what is shorter is
reported as a backchannel and stops nothing. Telling a longer "mm-hm" from an interruption needs more than the
length of a sound, and is not decided here.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from domain.conversation.phrases import Phrase, phrase_of
from domain.events.catalogue import FloorState

STEP_MS = 32
SPEECH_ON = 0.5
"""A window of at least this probability is speech…"""
SPEECH_OFF = 0.35
"""…and within a turn, one below this is silence."""
ONSET_WINDOWS = 3
ONSET_OF = 4
"""A turn begins with this many windows of speech among so many: a click is none."""
RESUME_WINDOWS = 2
RESUME_OF = 3
INTERRUPTION_ON = 0.6
INTERRUPTION_WINDOWS = 5
INTERRUPTION_OF = 6
INTERRUPTION_MS = INTERRUPTION_OF * STEP_MS
"""Longest time from the first voiced sound of an interruption to its decision."""
BACKCHANNEL_GAP_WINDOWS = 4
PAUSE_MS = 64
"""Silence after which a pause begins. Recognition and judgement start here, beside the waiting."""
JUDGE_AGAIN_MS = (256, 640)
"""The judge hears more silence each time, and is surer."""
REOPEN_MS = 2_000
"""Speech this soon after the end of a turn, before the persona is heard, means that the turn was not over."""
SILENCE_MS_MIN = 192
SILENCE_MS_MAX = 2_400
"""However unfinished the speech sounds, the turn is over after this much silence."""
TURN_MS_MAX = 180_000
"""However long the sound goes on (a radio in the room), the turn is over after this."""
LATE_VERDICT_MS = 1_000
"""Silence that ends a turn about which nothing is known, because recogniser and judge are late."""
PATIENCE_STEP_MS = 160
PATIENCE_MS_MAX = 640
"""Added to the wait for a speaker who went on after their turn was taken to be over."""
PATIENCE_EASE_MS = 40
"""Taken off again at each turn that was over."""
LIKELY = 0.5
SURE = 0.8
UNLIKELY = 0.2


class Act(StrEnum):
    """What there is to do after a step."""

    NONE = "none"
    SPEECH_BEGAN = "speech_began"
    PAUSE_BEGAN = "pause_began"
    """Judge the end of the turn and recognise, now."""
    JUDGE_AGAIN = "judge_again"
    """The pause goes on: judge once more."""
    SPEECH_RESUMED = "speech_resumed"
    """The pause was one: drop what was started on the guess that the turn was over."""
    TURN_ENDED = "turn_ended"
    TURN_REOPENED = "turn_reopened"
    """The turn was not over: take back the answer and add what follows to what was said."""
    INTERRUPTED = "interrupted"
    """The persona must stop; a turn of the participant has begun."""
    BACKCHANNEL = "backchannel"
    """A short sound beside the persona's speech: nothing stops."""


class Ending(StrEnum):
    """Why a turn was taken to be over."""

    FINISHED = "finished"
    """The wait that the evidence asked for is over."""
    SILENCE = "silence"
    """SILENCE_MS_MAX, or LATE_VERDICT_MS without evidence."""
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about the speech before a pause. Parts that are not known yet are None."""

    pause: int
    """The pause that it belongs to (Decision.pause); about an earlier one it is ignored."""
    completion: float | None = None
    """How likely the turn is over, by the sound of it."""
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """One step: 32 ms of the participant's sound."""

    at_ms: int
    """End of these 32 ms on the timeline of the sound."""
    speech: float
    """Probability that someone speaks in them."""
    persona_speaking: bool
    evidence: tuple[Evidence, ...] = ()
    """What became known since the last step."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of a step."""

    state: FloorState
    act: Act
    pause: int
    """Number of the present or latest pause."""
    silent_ms: int
    """Since the participant's last speech, in a turn; else 0."""
    needed_ms: int
    """Silence that would end the turn, as far as is known now; else 0."""
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class Floor:
    """The state between two steps. A conversation starts with `Floor()`."""

    recent: tuple[float, ...] = ()
    """Speech probabilities of the latest windows, newest last."""
    in_turn: bool = False
    turn_began_ms: int = 0
    last_speech_ms: int = 0
    """End of the turn's latest window of speech."""
    paused: bool = False
    pause: int = 0
    judged: int = 0
    """How many of JUDGE_AGAIN_MS have passed in this pause."""
    completion: float | None = None
    phrase: Phrase | None = None
    ended_ms: int | None = None
    """When the latest turn was taken to be over; None once the persona was heard after it."""
    patience_ms: int = 0
    beside: bool = False
    """A short sound beside the persona's speech is waiting to be over."""


def step(floor: Floor, heard: Heard) -> tuple[Floor, Decision]:
    """The floor after these 32 ms, and what there is to do."""
    recent = (*floor.recent, heard.speech)[-INTERRUPTION_OF:]
    floor = replace(floor, recent=recent)
    if heard.persona_speaking:
        floor = replace(floor, ended_ms=None)
    if floor.in_turn:
        return _in_turn(floor, heard)
    if heard.persona_speaking:
        return _beside_persona(floor, heard)
    return _open(floor, heard)


def silence_needed_ms(completion: float | None, phrase: Phrase | None, *, patience_ms: int = 0) -> int:
    """How long a pause must last to end the turn, SILENCE_MS_MIN to SILENCE_MS_MAX.

    Grows as the judge doubts, as the words sound unfinished, and with the patience this speaker needs.
    """
    return min(SILENCE_MS_MAX, _wait_ms(completion, phrase) + patience_ms)


def _wait_ms(completion: float | None, phrase: Phrase | None) -> int:
    if phrase is None and completion is None:
        return LATE_VERDICT_MS
    likely = completion if completion is not None else UNLIKELY
    match phrase:
        case Phrase.HESITATION:
            return SILENCE_MS_MAX
        case Phrase.DANGLING:
            return _graded(likely, sure=1_600, likely=1_800, doubtful=2_000, unlikely=2_200)
        case Phrase.OPEN:
            return _graded(likely, sure=1_200, likely=1_300, doubtful=1_400, unlikely=1_600)
        case Phrase.STATEMENT:
            return _graded(likely, sure=288, likely=480, doubtful=736, unlikely=992)
        case Phrase.QUESTION:
            return _graded(likely, sure=SILENCE_MS_MIN, likely=224, doubtful=320, unlikely=480)
        case Phrase.ANSWER:
            return _graded(likely, sure=256, likely=320, doubtful=384, unlikely=512)
        case None:
            return _graded(likely, sure=512, likely=736, doubtful=LATE_VERDICT_MS, unlikely=LATE_VERDICT_MS)
        case _:
            assert_never(phrase)


def _graded(completion: float, *, sure: int, likely: int, doubtful: int, unlikely: int) -> int:
    if completion >= SURE:
        return sure
    if completion >= LIKELY:
        return likely
    return doubtful if completion >= UNLIKELY else unlikely


def _count(recent: tuple[float, ...], of: int, level: float) -> int:
    return sum(speech >= level for speech in recent[-of:])


def _open(floor: Floor, heard: Heard) -> tuple[Floor, Decision]:
    """Nobody speaks."""
    if _count(floor.recent, ONSET_OF, SPEECH_ON) < ONSET_WINDOWS:
        floor = replace(floor, beside=False)
        return floor, _decision(floor, FloorState.LISTENING, Act.NONE)
    reopened = floor.ended_ms is not None and heard.at_ms - floor.ended_ms <= REOPEN_MS
    patience_ms = floor.patience_ms
    if reopened:
        patience_ms = min(PATIENCE_MS_MAX, patience_ms + PATIENCE_STEP_MS)
    floor = replace(_began(floor, heard), patience_ms=patience_ms)
    act = Act.TURN_REOPENED if reopened else Act.SPEECH_BEGAN
    return floor, _decision(floor, FloorState.PARTICIPANT, act)


def _beside_persona(floor: Floor, heard: Heard) -> tuple[Floor, Decision]:
    """The persona speaks, the participant has no turn."""
    if _count(floor.recent, INTERRUPTION_OF, INTERRUPTION_ON) >= INTERRUPTION_WINDOWS:
        floor = _began(floor, heard)
        return floor, _decision(floor, FloorState.OVERLAP, Act.INTERRUPTED)
    if _count(floor.recent, ONSET_OF, SPEECH_ON) >= RESUME_WINDOWS:
        floor = replace(floor, beside=True)
    elif floor.beside and _count(floor.recent, BACKCHANNEL_GAP_WINDOWS, SPEECH_OFF) == 0:
        floor = replace(floor, beside=False)
        return floor, _decision(floor, FloorState.PERSONA, Act.BACKCHANNEL)
    return floor, _decision(floor, FloorState.PERSONA, Act.NONE)


def _began(floor: Floor, heard: Heard) -> Floor:
    return replace(
        _without_pause(floor),
        in_turn=True,
        turn_began_ms=heard.at_ms,
        last_speech_ms=heard.at_ms,
        ended_ms=None,
        beside=False,
    )


def _without_pause(floor: Floor) -> Floor:
    return replace(floor, paused=False, judged=0, completion=None, phrase=None)


def _in_turn(floor: Floor, heard: Heard) -> tuple[Floor, Decision]:
    holding = FloorState.OVERLAP if heard.persona_speaking else FloorState.PARTICIPANT
    if heard.at_ms - floor.turn_began_ms >= TURN_MS_MAX:
        return _ended(floor, heard, Ending.TOO_LONG)
    if floor.paused:
        return _in_pause(_informed(floor, heard), heard, holding)
    if heard.speech >= SPEECH_OFF:
        floor = replace(floor, last_speech_ms=heard.at_ms)
        return floor, _decision(floor, holding, Act.NONE)
    if heard.at_ms - floor.last_speech_ms < PAUSE_MS:
        return floor, _decision(floor, holding, Act.NONE)
    floor = replace(_without_pause(floor), paused=True, pause=floor.pause + 1)
    return floor, _decision(floor, FloorState.PAUSE, Act.PAUSE_BEGAN, at_ms=heard.at_ms)


def _in_pause(floor: Floor, heard: Heard, holding: FloorState) -> tuple[Floor, Decision]:
    # One window alone may be a click or a breath: it neither ends the pause nor starts its clock again.
    if _count(floor.recent, RESUME_OF, SPEECH_ON) >= RESUME_WINDOWS and heard.speech >= SPEECH_ON:
        floor = replace(_without_pause(floor), last_speech_ms=heard.at_ms)
        return floor, _decision(floor, holding, Act.SPEECH_RESUMED)
    silent_ms = heard.at_ms - floor.last_speech_ms
    if silent_ms >= _needed_ms(floor) and heard.speech < SPEECH_ON:
        unknown = floor.completion is None and floor.phrase is None
        waited_out = unknown or _needed_ms(floor) >= SILENCE_MS_MAX
        return _ended(floor, heard, Ending.SILENCE if waited_out else Ending.FINISHED)
    if silent_ms >= SILENCE_MS_MAX:
        return _ended(floor, heard, Ending.SILENCE)
    if floor.judged < len(JUDGE_AGAIN_MS) and silent_ms >= JUDGE_AGAIN_MS[floor.judged]:
        floor = replace(floor, judged=floor.judged + 1)
        return floor, _decision(floor, FloorState.PAUSE, Act.JUDGE_AGAIN, at_ms=heard.at_ms)
    return floor, _decision(floor, FloorState.PAUSE, Act.NONE, at_ms=heard.at_ms)


def _informed(floor: Floor, heard: Heard) -> Floor:
    for evidence in heard.evidence:
        if evidence.pause != floor.pause:
            continue
        if evidence.completion is not None:
            floor = replace(floor, completion=evidence.completion)
        if evidence.text is not None:
            floor = replace(floor, phrase=phrase_of(evidence.text))
    return floor


def _needed_ms(floor: Floor) -> int:
    return silence_needed_ms(floor.completion, floor.phrase, patience_ms=floor.patience_ms)


def _ended(floor: Floor, heard: Heard, ending: Ending) -> tuple[Floor, Decision]:
    eased = max(0, floor.patience_ms - PATIENCE_EASE_MS)
    ended = replace(
        _without_pause(floor),
        in_turn=False,
        # What goes on after a turn that was too long is another turn, not the same one again.
        ended_ms=None if ending is Ending.TOO_LONG else heard.at_ms,
        patience_ms=eased,
        recent=(),
    )
    state = FloorState.PERSONA if heard.persona_speaking else FloorState.LISTENING
    decision = Decision(
        state,
        Act.TURN_ENDED,
        floor.pause,
        heard.at_ms - floor.last_speech_ms,
        _needed_ms(floor),
        ending,
    )
    return ended, decision


def _decision(floor: Floor, state: FloorState, act: Act, *, at_ms: int | None = None) -> Decision:
    if at_ms is None:
        return Decision(state, act, floor.pause, 0, 0)
    return Decision(state, act, floor.pause, at_ms - floor.last_speech_ms, _needed_ms(floor))
