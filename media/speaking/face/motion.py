"""What keeps the face alive, 25 times a second: emotion, mouth, blinks, glances, nods, breath and drift.

Chance is an argument, so the same chance and the same steps give the same motion. Figures with a source
carry it; the others were set by eye.
"""

import math
from random import Random
from typing import Final

from domain.mind.emotion import Emotion
from media.speaking.face.expressions import EMOTION_POSES
from media.speaking.face.gaze import DEGREES, Gaze, Lids
from media.speaking.face.rig import MOUTH, NAMES, ParameterName, Pose, within_range
from media.speaking.face.springs import Breath, Drift, Spring
from media.speaking.face.visemes import FRAME_S, LEAD_S, MouthTrack, Shape

# How quickly each part follows its emotion, in rad/s: eyes lead, the mouth follows, colour lags.
SPEEDS: Final[dict[str, float]] = {
    "brow": 11.0,
    "blink": 30.0,
    "lid": 12.0,
    "squint": 8.0,
    "smile": 7.0,
    "cheek": 6.0,
    "blush": 1.2,
    "pale": 1.2,
}
SPEED_ELSE: Final = 7.0
BROWS: Final[tuple[ParameterName, ...]] = ("brow_inner_l", "brow_inner_r", "brow_outer_l", "brow_outer_r")
SMILES: Final[tuple[ParameterName, ...]] = ("smile_l", "smile_r")
DRIFTS: Final[dict[ParameterName, tuple[float, float]]] = {  # Spread (degrees or pixels), memory (s).
    "yaw": (1.1, 1.6),
    "pitch": (0.8, 1.3),
    "roll": (0.7, 2.2),
    "shift_x": (0.8, 2.5),
}
DRIFT_LISTENING, DRIFT_SPEAKING = 0.8, 1.7

NOD_HZ: Final = 2.2  # Ordinary nods are 1.8 to 3.7 Hz (Hadar et al. 1985).
NOD_DEG_MIN, NOD_DEG_MAX = 3.5, 5.5
NOD_CYCLES: Final = (1.0, 1.5, 1.5, 2.0)
NOD_SHIFT: Final = 0.3  # Pixels down for each degree.
FLASH_S, FLASH = 0.45, 0.45  # How long and how far brows go up at a cue.
BEAT_DEG, BEAT_BROW = 1.6, 0.18  # Head and brows on stressed vowels (Munhall et al. 2004).
HEAD_FOLLOWS: Final = 0.22  # The head's share of a glance.
SWAY: Final = 0.9  # Of the hair, for each degree of yaw in a frame.

# Listening, the persona leans in a little, tilts her head and lifts the inner brows, eased in and out.
ATTENTION: Final[dict[ParameterName, float]] = {
    "lean": 0.14,
    "roll": 1.3,
    "pitch": 0.5,
    "brow_inner_l": 0.08,
    "brow_inner_r": 0.08,
    "squint_l": 0.04,
    "squint_r": 0.04,
}
ATTENTION_SPEED: Final = 2.2
# While a sound is made, emotion keeps its corners and lends most of the opening to speech.
EMOTION_KEEPS: Final = 0.35
SMILE_YIELDS: Final = 0.45  # To rounding.
TALK_SPEED: Final = 16.0
SHUT_SHARE: Final = 0.45  # What is left each frame of a mouth whose sentence was cut off.
SHUT_BELOW: Final = 0.02


def speed(name: ParameterName) -> float:
    return next((value for part, value in SPEEDS.items() if name.startswith(part)), SPEED_ELSE)


class FaceMotion:
    """One session's face. Step it once for every frame of 40 ms, from one thread."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        rest = EMOTION_POSES[Emotion.NEUTRAL]
        self._springs = [Spring(speed(name), x=rest[name]) for name in NAMES]
        self._lids, self._gaze = Lids(rng), Gaze(rng)
        self._drifts = {name: Drift(*figures) for name, figures in DRIFTS.items()}
        self._follow_yaw, self._follow_pitch = Spring(9.0), Spring(9.0)
        self._sway, self._beat, self._flash = Spring(7.0), Spring(14.0), Spring(9.0)
        self._attention, self._talk = Spring(ATTENTION_SPEED), Spring(TALK_SPEED)
        self._nod_deg = self._nod_s = self._nod_at_s = self._flash_left_s = 0.0
        self._breath, self._yaw_before = Breath(rng.random()), rest["yaw"]
        self._track: MouthTrack | None = None
        self._track_at_s = 0.0
        self._mouth: Shape = dict.fromkeys(MOUTH, 0.0)

    def nod(self) -> None:
        """Shows that the person is followed. While a nod is under way, another one adds nothing."""
        if self._nod_at_s >= self._nod_s:
            self._nod_deg = self._rng.uniform(NOD_DEG_MIN, NOD_DEG_MAX)
            self._nod_s, self._nod_at_s = self._rng.choice(NOD_CYCLES) / NOD_HZ, 0.0

    def raise_brows(self) -> None:
        """Shows that something new or a question was heard."""
        self._flash_left_s = FLASH_S

    def step(
        self,
        *,
        emotion: Emotion,
        strength: float,
        speaking: bool,
        mouth: MouthTrack | None,
        at_s: float,
    ) -> Pose:
        """The pose of the next frame. `strength` is 0 to 1 between neutral and the whole emotion; `mouth`
        is the sentence that sounds, `at_s` the position in its audio when the frame is shown."""
        rest, goal = EMOTION_POSES[Emotion.NEUTRAL].values, EMOTION_POSES[emotion].values
        share = min(max(strength, 0.0), 1.0)
        values = (s.step(r + (g - r) * share) for s, r, g in zip(self._springs, rest, goal, strict=True))
        p = dict(zip(NAMES, values, strict=True))
        stress = mouth.stress(at_s + LEAD_S) if mouth is not None else 0.0
        self._look(p, speaking)
        self._attend(p, speaking)
        self._move_head(p, speaking, stress)
        p["breath"] += self._breath.step(speaking=speaking)
        self._lift_brows(p, stress)
        shut = self._lids.step(speaking=speaking)
        p["blink_l"], p["blink_r"] = max(shut, p["blink_l"]), max(shut, p["blink_r"])
        self._speak(p, mouth, at_s)
        p["sway"] += self._sway.step((p["yaw"] - self._yaw_before) * SWAY)
        self._yaw_before = p["yaw"]
        return Pose(tuple(within_range(name, value) for name, value in p.items()))

    def _look(self, p: dict[ParameterName, float], speaking: bool) -> None:
        self._gaze.step(self._lids, speaking=speaking)
        p["gaze_x"] += self._gaze.x
        p["gaze_y"] += self._gaze.y

    def _attend(self, p: dict[ParameterName, float], speaking: bool) -> None:
        attention = self._attention.step(0.0 if speaking else 1.0)
        for name, value in ATTENTION.items():
            p[name] += value * attention

    def _move_head(self, p: dict[ParameterName, float], speaking: bool, stress: float) -> None:
        gain = DRIFT_SPEAKING if speaking else DRIFT_LISTENING
        for name, drift in self._drifts.items():
            p[name] += drift.step(self._rng, gain)
        p["yaw"] += self._follow_yaw.step(self._gaze.x * DEGREES * HEAD_FOLLOWS)
        p["pitch"] += self._follow_pitch.step(self._gaze.y * DEGREES * HEAD_FOLLOWS)
        p["pitch"] += self._beat.step(BEAT_DEG * stress)
        if self._nod_at_s < self._nod_s:
            self._nod_at_s += FRAME_S
            fade = max(0.0, math.sin(math.pi * min(1.0, self._nod_at_s / self._nod_s))) ** 0.7
            swing = self._nod_deg * fade * math.sin(2 * math.pi * NOD_HZ * self._nod_at_s)
            p["pitch"] += swing
            p["shift_y"] += NOD_SHIFT * swing

    def _lift_brows(self, p: dict[ParameterName, float], stress: float) -> None:
        up = FLASH if self._flash_left_s > 0 else 0.0
        self._flash_left_s = max(0.0, self._flash_left_s - FRAME_S)
        lift = self._flash.step(up + BEAT_BROW * stress)
        for name in BROWS:
            p[name] += lift

    def _speak(self, p: dict[ParameterName, float], mouth: MouthTrack | None, at_s: float) -> None:
        shape = self._shape(mouth, at_s)
        keeps = 1 - (1 - EMOTION_KEEPS) * self._talk.step(0.0 if mouth is None else 1.0)
        for name in MOUTH:
            p[name] = p[name] * keeps + shape[name]
        for smile in SMILES:
            p[smile] *= 1 - SMILE_YIELDS * min(1.0, shape["round"] + shape["funnel"])

    def _shape(self, mouth: MouthTrack | None, at_s: float) -> Shape:
        """What the sounds want of the mouth; a sentence that was cut off lets it fall shut."""
        if mouth is None:
            left = {name: value * SHUT_SHARE for name, value in self._mouth.items()}
            self._mouth = {name: value if value > SHUT_BELOW else 0.0 for name, value in left.items()}
        else:
            # The playout clock moves in packets: the frame stands for what it moved, so that no closure
            # falls between two frames, and none is held for longer than its own.
            since_s = self._track_at_s if mouth is self._track else None
            self._mouth = mouth.shape(at_s, since_s)
            self._track_at_s = at_s
        self._track = mouth
        return self._mouth
