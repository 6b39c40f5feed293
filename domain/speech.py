"""Persona speech as facts: which sound and which word stands where in a sentence, in which voice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NewType

VoiceName = NewType("VoiceName", str)

BYTES_PER_SAMPLE = 2
_WRITTEN_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Sound:
    """One phoneme of misaki's alphabet, or a silence (a space or a punctuation mark).

    Seconds from the first sample of the sentence. `stress` is set on the vowel of a stressed syllable and
    on the consonants between the stress mark and that vowel.
    """

    phoneme: str
    start_s: float
    end_s: float
    stress: bool = False


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word as it is written, punctuation included, and when it sounds.

    Milliseconds from the first sample of the sentence. A word that makes no sound, such as a dash between
    spaces, has no length.
    """

    w: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class WrittenWord:
    """A word and its place in its text: `text[start:end] == w`."""

    w: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SynthesisedSentence:
    """Mono, signed 16-bit little-endian samples, and what is said in them.

    `words` are all words of the text, in order and without overlap. `sounds` follow one another without a
    gap from 0 to the end.
    """

    pcm16: bytes
    sample_rate: int
    sounds: tuple[Sound, ...]
    words: tuple[SpokenWord, ...]

    @property
    def samples(self) -> int:
        return len(self.pcm16) // BYTES_PER_SAMPLE

    @property
    def duration_ms(self) -> int:
        return round(self.samples * 1000 / self.sample_rate)


@dataclass(frozen=True, slots=True)
class PlayedPart:
    """What of a sentence was played: `text` is an exact prefix of the sentence."""

    text: str
    words: tuple[SpokenWord, ...]


def written_words(text: str) -> tuple[WrittenWord, ...]:
    """The words of a text, split at white space only."""
    return tuple(WrittenWord(m.group(), m.start(), m.end()) for m in _WRITTEN_WORD.finditer(text))


def played_part(
    text: str, words: Sequence[SpokenWord], *, played_samples: int, sample_rate: int
) -> PlayedPart:
    """The words of which at least half was played; `words` must be all words of `text`, in order."""
    count = 0
    for word in words:
        # A word without length counts as soon as the samples before it have gone; with none gone, none does.
        middle_twice = (word.start_ms + word.end_ms) * sample_rate
        if played_samples == 0 or played_samples * 2000 < middle_twice:
            break
        count += 1
    if count == 0:
        return PlayedPart("", ())
    return PlayedPart(text[: written_words(text)[count - 1].end], tuple(words[:count]))


# Beyond these a voice built on one recorded speaker is no longer understood by people and recognisers.
PITCH_MIN, PITCH_MAX = 0.65, 1.25
RATE_MIN, RATE_MAX = 0.7, 1.3


@dataclass(frozen=True, slots=True)
class Voice:
    """How a voice differs from the synthesiser's own: factors, 1 being that voice as it is.

    `pitch` moves the whole melody, `pitch_range` widens or flattens it, `rate` is the speed.
    """

    name: VoiceName
    pitch: float = 1.0
    rate: float = 1.0
    pitch_range: float = 1.0

    def __post_init__(self) -> None:
        if not PITCH_MIN <= self.pitch <= PITCH_MAX:
            raise ValueError(f"voice {self.name}: pitch must lie between {PITCH_MIN} and {PITCH_MAX}")
        if not RATE_MIN <= self.rate <= RATE_MAX:
            raise ValueError(f"voice {self.name}: rate must lie between {RATE_MIN} and {RATE_MAX}")
        if not 0.0 <= self.pitch_range <= 2.0:
            raise ValueError(f"voice {self.name}: pitch_range must lie between 0 and 2")

    def varied(self, *, pitch: float = 1.0, rate: float = 1.0) -> Voice:
        """This voice moved by further factors, as far as it can still be understood."""
        return replace(
            self,
            pitch=min(PITCH_MAX, max(PITCH_MIN, self.pitch * pitch)),
            rate=min(RATE_MAX, max(RATE_MIN, self.rate * rate)),
        )


DEFAULT_VOICE = VoiceName("heart")
CALLER_VOICE = VoiceName("pitched")

VOICES = MappingProxyType(
    {
        voice.name: voice
        for voice in (
            Voice(DEFAULT_VOICE),
            Voice(VoiceName("heart-calm"), pitch=0.95, rate=0.93, pitch_range=0.85),
            Voice(VoiceName("heart-bright"), pitch=1.08, rate=1.05, pitch_range=1.15),
            # Low enough that nobody takes the scripted caller for the persona who answers.
            Voice(CALLER_VOICE, pitch=0.68, rate=1.0, pitch_range=0.9),
        )
    }
)
