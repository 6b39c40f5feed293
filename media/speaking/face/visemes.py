"""Mouth shapes of sounds, and a sentence's mouth: dominance blending after Cohen and Massaro (1993).

Each parameter of the mouth is the mean of the near sounds' targets, weighted by how strongly each sound
insists on it and by how near in time it is.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from domain.speech import Sound
from media.speaking.face.rig import MOUTH, MouthName

Viseme = Literal[
    "sil", "PP", "FF", "TH", "DD", "SS", "CH", "KK", "RR", "AA", "EH", "IH", "AX", "OH", "OO"
]  # fmt: skip
Shape = dict[MouthName, float]

VISEMES: Final[dict[Viseme, Shape]] = {
    "sil": {},
    "PP": {"press": 0.85},
    "FF": {"tuck": 0.95, "upper": 0.15, "jaw": 0.10},
    "TH": {"jaw": 0.26, "tongue": 1.0, "wide": 0.10, "upper": 0.10},
    "DD": {"jaw": 0.16, "tongue": 0.6, "lower": 0.20, "wide": 0.10},
    "SS": {"jaw": 0.06, "wide": 0.35, "upper": 0.18, "lower": 0.40},
    "CH": {"jaw": 0.10, "funnel": 0.80, "round": 0.25, "upper": 0.15, "lower": 0.30},
    "KK": {"jaw": 0.26, "wide": 0.08, "lower": 0.10},
    "RR": {"jaw": 0.14, "round": 0.40, "funnel": 0.30},
    "AA": {"jaw": 0.95, "wide": 0.08, "upper": 0.05},
    "EH": {"jaw": 0.55, "wide": 0.32, "upper": 0.10, "lower": 0.10},
    "IH": {"jaw": 0.20, "wide": 0.55, "upper": 0.15, "lower": 0.20},
    "AX": {"jaw": 0.36, "wide": 0.05},
    "OH": {"jaw": 0.62, "round": 0.65, "funnel": 0.20},
    "OO": {"jaw": 0.14, "round": 0.95, "funnel": 0.45},
}

# How strongly a viseme insists on its own value of a parameter against its neighbours; 1 where none is
# given. A tongue sound takes its neighbours' lips; silence keeps lips from rounding long before speech; a
# vowel, however short, parts the lips.
_PARTED: Final[Shape] = {"press": 4.0, "tuck": 4.0}
INSISTS: Final[dict[Viseme, Shape]] = {
    "PP": {"press": 12.0, "jaw": 2.5, "lower": 2.0, "upper": 2.0},
    "FF": {"tuck": 10.0, "jaw": 2.0},
    "TH": {"tongue": 4.0, "jaw": 1.2},
    "DD": {"tongue": 2.0, "jaw": 0.8, "wide": 0.3, "round": 0.2, "funnel": 0.2},
    "SS": {"jaw": 2.5, "lower": 1.5, "wide": 0.5, "round": 0.4, "funnel": 0.4},
    "CH": {"funnel": 3.0, "jaw": 2.0},
    "KK": {"jaw": 0.5, "wide": 0.1, "round": 0.1, "funnel": 0.1, "lower": 0.5},
    "OO": {"round": 2.8, "funnel": 2.2, **_PARTED},
    "OH": {"round": 2.4, "funnel": 1.8, "jaw": 1.3, **_PARTED},
    "RR": {"round": 1.5, "funnel": 1.5},
    "AA": {"jaw": 1.5, **_PARTED},
    "EH": _PARTED,
    "IH": _PARTED,
    "AX": {"jaw": 0.6, "wide": 0.3, "round": 0.3, "funnel": 0.3, **_PARTED},
    "sil": {**dict.fromkeys(MOUTH, 0.8), "round": 1.6, "funnel": 1.6},
}

_GROUPS: Final[dict[Viseme, str]] = {
    "PP": "pbm",
    "FF": "fv",
    "TH": "θð",
    "DD": "tdnlɾTɫ",
    "SS": "sz",
    "CH": "ʃʒʧʤ",
    "KK": "kɡŋhxʔ",
    "RR": "ɹrɜɚ",
    "AA": "ɑɒaɐ",
    "EH": "æɛe",
    "IH": "iɪjᵻ",
    "AX": "əʌᵊ",
    "OH": "ɔo",
    "OO": "uʊw",
}
# misaki's alphabet. A diphthong is two targets in its own time; what is not here is silence.
PHONEMES: Final[dict[str, tuple[Viseme, ...]]] = {
    **{phoneme: (viseme,) for viseme, phonemes in _GROUPS.items() for phoneme in phonemes},
    "A": ("EH", "IH"),
    "I": ("AA", "IH"),
    "W": ("AA", "OO"),
    "O": ("OH", "OO"),
    "Y": ("OH", "IH"),
    "Q": ("AX", "OO"),
}
VOWELS: Final = frozenset("ɑɒaɐæɛeiɪᵻəʌᵊɔouʊɜɚAIWOYQ")

FRAME_S: Final = 0.04
# The mouth is ahead of the sound: late shapes are noticed long before early ones.
LEAD_S: Final = 0.04
FALL_S: Final = 0.055  # How fast a target's influence falls outside its own time.
ROUND_FALL_S: Final = 0.11  # Lips round early and late.
SHUT_FALL_S: Final = 0.025  # Lips meet and part fast, or a short vowel between two closures would not open.
REACH_S: Final = 0.4  # Targets farther away count for nothing.
CLOSURES: Final[dict[Viseme, MouthName]] = {"PP": "press", "FF": "tuck"}
FALLS: Final[dict[MouthName, float]] = {
    **dict.fromkeys(MOUTH, FALL_S),
    "round": ROUND_FALL_S,
    "funnel": ROUND_FALL_S,
    "press": SHUT_FALL_S,
    "tuck": SHUT_FALL_S,
}
STRESSED, UNSTRESSED = 1.12, 0.85  # Of a vowel's shape.
DEPTH_EDGE: Final = 0.45  # Inside its own time a target counts from this at the edges to 1 in the middle.
HALF_S_MIN: Final = 0.01
# A late frame stands for the time since the one before it, up to this; older closures are past.
FRAME_S_MAX: Final = 0.12


@dataclass(frozen=True, slots=True)
class Target:
    viseme: Viseme
    start_s: float
    end_s: float
    gain: float

    @property
    def middle_s(self) -> float:
        return (self.start_s + self.end_s) / 2


def targets(sounds: Iterable[Sound]) -> list[Target]:
    out: list[Target] = []
    for sound in sounds:
        shapes = PHONEMES.get(sound.phoneme, ("sil",))
        gain = 1.0
        if sound.phoneme in VOWELS:
            gain = STRESSED if sound.stress else UNSTRESSED
        share = (sound.end_s - sound.start_s) / len(shapes)
        for k, shape in enumerate(shapes):
            start = sound.start_s + k * share
            out.append(Target(shape, start, start + share, gain))
    return out


class MouthTrack:
    """The mouth of one sentence, from its sounds on the sentence's own audio timeline.

    Immutable, and safe to read from any thread. Sounds may be given in any order.
    """

    def __init__(self, sounds: Iterable[Sound]) -> None:
        ordered = sorted(sounds, key=lambda sound: sound.start_s)
        self._targets = targets(ordered)
        self._stressed = [
            (sound.start_s, sound.end_s) for sound in ordered if sound.stress and sound.phoneme in VOWELS
        ]

    def shape(self, at_s: float, since_s: float | None = None) -> Shape:
        """The mouth for a frame shown when the audio is at `at_s`.

        A closure may be shorter than a frame, and a missed one is what viewers notice: the frame that is
        nearest to its middle shows it whole. `since_s` is where the audio was at the frame before this one.
        """
        when = at_s + LEAD_S
        near = [t for t in self._targets if t.start_s - REACH_S < when < t.end_s + REACH_S]
        if not near:
            return dict.fromkeys(MOUTH, 0.0)
        out = blended(near, when)
        # The end of one frame's span is the start of the next one's to the last bit, so that a closure on
        # the border is in one of them and not in both.
        first = span_end(at_s - FRAME_S if since_s is None else max(since_s, at_s - FRAME_S_MAX))
        last = span_end(at_s)
        for target in near:
            closure = CLOSURES.get(target.viseme)
            if closure is not None and first < target.middle_s <= last:
                out[closure] = max(out[closure], VISEMES[target.viseme][closure])
        return out

    def stress(self, at_s: float) -> float:
        """1 on a stressed vowel, else 0."""
        return float(any(start <= at_s < end for start, end in self._stressed))


def span_end(at_s: float) -> float:
    """The end of the audio that a frame shown at `at_s` stands for."""
    return at_s + (LEAD_S + FRAME_S / 2)


def blended(near: list[Target], when: float) -> Shape:
    """The mean of the targets, each weighted by its insistence, its distance and its depth."""
    total, value = dict.fromkeys(MOUTH, 0.0), dict.fromkeys(MOUTH, 0.0)
    for target in near:
        away = max(target.start_s - when, when - target.end_s, 0.0)
        # A target peaks in the middle of its time, so long sounds settle and short ones pass.
        half = max((target.end_s - target.start_s) / 2, HALF_S_MIN)
        inside = DEPTH_EDGE + (1 - DEPTH_EDGE) * max(0.0, 1 - abs(when - target.middle_s) / half)
        nearness = {fall: inside * math.exp(-away / fall) for fall in (FALL_S, ROUND_FALL_S, SHUT_FALL_S)}
        insists, goals = INSISTS.get(target.viseme, {}), VISEMES[target.viseme]
        for name in MOUTH:
            weight = insists.get(name, 1.0) * nearness[FALLS[name]]
            value[name] += weight * goals.get(name, 0.0) * target.gain
            total[name] += weight
    return {name: value[name] / total[name] for name in MOUTH}
