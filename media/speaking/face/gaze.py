"""Where the eyes look, and when they blink."""

import math
from dataclasses import dataclass
from random import Random
from typing import Final

from media.speaking.face.visemes import FRAME_S

# Blinks a minute: at rest 17, in conversation 26 (Bentivoglio et al. 1997).
BLINKS_LISTENING, BLINKS_SPEAKING = 17.0, 26.0
# How far the lids are shut, frame by frame: down in about 80 ms, up in about 160.
BLINK: Final = (0.35, 0.92, 1.0, 0.72, 0.38, 0.14, 0.03)
BLINK_GAP_S_MIN: Final = 0.35
# Gaps between blinks are skewed, many short ones and a few long: log-normal with this sigma, whose mean
# is exp(sigma ** 2 / 2) times its median.
BLINK_SIGMA: Final = 0.7

# Seconds of looking at the viewer and of looking away, mean and spread, measured in frames at 30 fps
# (Lee, Badler and Badler 2002).
AT_SPEAKING, AWAY_SPEAKING = (93.9 / 30, 94.9 / 30), (27.8 / 30, 24.0 / 30)
AT_LISTENING, AWAY_LISTENING = (237.5 / 30, 47.1 / 30), (13.0 / 30, 7.1 / 30)
LOOK_S_MIN: Final = 0.25
DEGREES: Final = 25.0  # Gaze of 1. A saccade takes 21 ms + 2.2 ms a degree: one frame, so gaze steps.
GLANCE_DEG_MAX: Final = 12.0
BLINKING_GLANCE_DEG: Final = 8.0  # Larger shifts of gaze carry a blink.
# Directions of a glance, a quarter turn being up: mostly sideways.
DIRECTIONS: Final = tuple(math.pi * turn for turn in (0.0, 0.0, 1.0, 1.0, 0.25, 0.75, 1.5, 0.5))
DOWN_SHARE: Final = 0.7  # Eyes move less far up and down than sideways.
# Eyes wander over a face they look at: this often, and this far (in gaze).
WANDER_S, WANDER_X, WANDER_Y = 0.9, 0.025, 0.018


@dataclass(slots=True)
class Lids:
    rng: Random
    frame: int = len(BLINK)
    wait_s: float = 0.0

    def __post_init__(self) -> None:
        self.wait_s = self.rng.uniform(0.5, 3.0)

    @property
    def blinking(self) -> bool:
        return self.frame < len(BLINK)

    def blink_now(self) -> None:
        self.wait_s = 0.0

    def step(self, *, speaking: bool) -> float:
        """How far a blink has the lids shut in this frame."""
        if self.blinking:
            self.frame += 1
            return BLINK[self.frame - 1]
        self.wait_s -= FRAME_S
        if self.wait_s <= 0:
            mean_s = 60 / (BLINKS_SPEAKING if speaking else BLINKS_LISTENING)
            median = math.log(mean_s) - BLINK_SIGMA**2 / 2
            self.wait_s = BLINK_GAP_S_MIN + self.rng.lognormvariate(median, BLINK_SIGMA)
            self.frame = 0
        return 0.0


@dataclass(slots=True)
class Gaze:
    """`x` and `y` are -1 to 1: + is to the viewer's right and down."""

    rng: Random
    x: float = 0.0
    y: float = 0.0
    left_s: float = 1.0
    away: bool = False
    speaking: bool = False

    def step(self, lids: Lids, *, speaking: bool) -> None:
        if speaking != self.speaking:
            self.speaking = speaking
            if not speaking and self.away:
                self.left_s = 0.0  # Who begins to listen looks at the one who speaks.
        self.left_s -= FRAME_S
        if self.left_s <= 0:
            self.turn(lids)
        elif not self.away and self.rng.random() < FRAME_S / WANDER_S:
            self.x, self.y = self.rng.gauss(0, WANDER_X), self.rng.gauss(0, WANDER_Y)

    def turn(self, lids: Lids) -> None:
        rng = self.rng
        at, away = (AT_SPEAKING, AWAY_SPEAKING) if self.speaking else (AT_LISTENING, AWAY_LISTENING)
        self.away = not self.away
        self.left_s = max(LOOK_S_MIN, rng.gauss(*(away if self.away else at)))
        if not self.away:
            self.x = self.y = 0.0
            return
        # The size of a glance in degrees, from its measured frequency (the same authors).
        size_deg = min(GLANCE_DEG_MAX, -6.9 * math.log(max(rng.random() * 15, 0.3) / 15.7))
        direction = rng.choice(DIRECTIONS)
        self.x = size_deg / DEGREES * math.cos(direction)
        self.y = -DOWN_SHARE * size_deg / DEGREES * math.sin(direction)
        if size_deg > BLINKING_GLANCE_DEG and not lids.blinking:
            lids.blink_now()
