"""Motion primitives, stepped once a frame of 40 ms. Chance is an argument."""

import math
from dataclasses import dataclass, field
from random import Random
from typing import Final

from media.speaking.face.visemes import FRAME_S

# Seconds to draw a breath and to let it go. Adults breathe 12 to 20 times a minute at rest; speech draws
# fast and lets go slowly.
DRAW_LISTENING, LET_GO_LISTENING = 1.7, 2.5
DRAW_SPEAKING, LET_GO_SPEAKING = 0.6, 2.6
BREATH_TO_SPEAK: Final = 0.6  # Who begins to speak with less than this in the chest draws breath first.


@dataclass(slots=True)
class Spring:
    """A critically damped spring: no overshoot; nine tenths of the way after 3.9 / omega seconds."""

    omega: float
    x: float = 0.0
    v: float = 0.0
    decay: float = field(init=False)

    def __post_init__(self) -> None:
        self.decay = math.exp(-self.omega * FRAME_S)

    def step(self, goal: float) -> float:
        away = self.x - goal
        k = (self.v + self.omega * away) * FRAME_S
        self.x, self.v = goal + (away + k) * self.decay, (self.v - self.omega * k) * self.decay
        return self.x


@dataclass(slots=True)
class Drift:
    """Smooth noise of a given spread and memory: an Ornstein-Uhlenbeck process through a spring."""

    spread: float
    memory_s: float
    y: float = 0.0
    spring: Spring = field(default_factory=lambda: Spring(5.0))

    def step(self, rng: Random, gain: float) -> float:
        keep = math.exp(-FRAME_S / self.memory_s)
        self.y = self.y * keep + rng.gauss(0, self.spread) * math.sqrt(1 - keep * keep)
        return self.spring.step(self.y * gain)


@dataclass(slots=True)
class Breath:
    """The chest, from 0 to 1, without a jump when speech begins or ends."""

    filled: float
    drawing: bool = True
    speaking: bool = False

    def step(self, *, speaking: bool) -> float:
        if speaking and not self.speaking and self.filled < BREATH_TO_SPEAK:
            self.drawing = True
        self.speaking = speaking
        if self.drawing:
            self.filled += FRAME_S / (DRAW_SPEAKING if speaking else DRAW_LISTENING)
        else:
            self.filled -= FRAME_S / (LET_GO_SPEAKING if speaking else LET_GO_LISTENING)
        if not 0.0 < self.filled < 1.0:
            self.filled = min(max(self.filled, 0.0), 1.0)
            self.drawing = not self.drawing
        return self.filled * self.filled * (3 - 2 * self.filled)
