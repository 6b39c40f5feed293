"""The states a persona's face and voice can be in."""

from enum import StrEnum


class Emotion(StrEnum):
    """One per sentence; how strongly it shows is a number beside it, from 0 to 1."""

    NEUTRAL = "neutral"
    ANGRY = "angry"
    EXCITED = "excited"
    ELATED = "elated"
    CONTENT = "content"
    SAD = "sad"
    DEJECTED = "dejected"
    SCARED = "scared"
    CONTEMPT = "contempt"
    DISGUSTED = "disgusted"
    SURPRISED = "surprised"
