"""The persona's voice: Hibari's model and vocoder, with melody and pace of our own, trimmed and timed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from hibari import dsp

from domain.errors import InvalidInput
from domain.mind.emotion import Emotion
from domain.speech import (
    DEFAULT_VOICE,
    PITCH_MAX,
    PITCH_MIN,
    RATE_MAX,
    RATE_MIN,
    VOICES,
    Sound,
    SpokenWord,
    SynthesisedSentence,
    Voice,
    written_words,
)
from media.speaking.phonemes import Phoneme, Pronouncer, hibari_dictionary, runs
from media.speaking.timing import Timed, Trim, sounds_of, spans_of_words, timed, trim_of

Audio = npt.NDArray[np.float32]

OUTPUT_RATE = 48_000
TEXT_CHARS_MAX = 400
# The same text in the same voice gives the same bytes: the vocoder's noise always starts here.
NOISE_SEED = 0
# Hibari speaks at about -24 dBFS with peaks near -7; this brings it to the level of other speech in a call.
GAIN = 1.5
FADE_MS = 3
# What is handed out for a sentence in which nothing can be spoken, so that it is played like any other.
UNSPEAKABLE_MS = 200
DURATION_UNIT_S = 0.025
VOICED_HZ_MIN = 40.0

_DURATIONS = "/Clip_output_0"
_UPSAMPLER_TAPS = 64


class TextTooLong(InvalidInput):
    """A sentence has more characters than are synthesised at once: split it first."""

    code = "text_too_long"

    def __init__(self, length: int) -> None:
        super().__init__(f"a sentence has {length} characters; split it to at most {TEXT_CHARS_MAX}")
        self.length = length


class NothingToSay(InvalidInput):
    """A text without a single word was given to the synthesiser."""

    code = "nothing_to_say"

    def __init__(self) -> None:
        super().__init__("the text has no word to speak; leave it out")


@dataclass(frozen=True, slots=True)
class Prosody:
    """Factors on a voice's own pitch, pace and pitch range."""

    pitch: float
    rate: float
    pitch_range: float


# At full strength. Light: a listener should notice a mood, not an actor.
EMOTION_PROSODY = MappingProxyType(
    {
        Emotion.NEUTRAL: Prosody(1.0, 1.0, 1.0),
        Emotion.ANGRY: Prosody(1.03, 1.06, 1.2),
        Emotion.EXCITED: Prosody(1.1, 1.1, 1.35),
        Emotion.ELATED: Prosody(1.12, 1.06, 1.4),
        Emotion.CONTENT: Prosody(1.02, 0.98, 1.05),
        Emotion.SAD: Prosody(0.94, 0.9, 0.75),
        Emotion.DEJECTED: Prosody(0.9, 0.86, 0.6),
        Emotion.SCARED: Prosody(1.12, 1.12, 1.15),
        Emotion.CONTEMPT: Prosody(0.96, 0.95, 0.9),
        Emotion.DISGUSTED: Prosody(0.95, 0.94, 1.0),
        Emotion.SURPRISED: Prosody(1.12, 1.02, 1.45),
    }
)


def prosody(voice: Voice, emotion: Emotion, strength: float) -> Prosody:
    """The voice as the emotion moves it, kept within what can be understood. Strength is 0 to 1."""
    goal, strength = EMOTION_PROSODY[emotion], min(1.0, max(0.0, strength))

    def moved(own: float, factor: float) -> float:
        return own * (1.0 + strength * (factor - 1.0))

    return Prosody(
        min(PITCH_MAX, max(PITCH_MIN, moved(voice.pitch, goal.pitch))),
        min(RATE_MAX, max(RATE_MIN, moved(voice.rate, goal.rate))),
        moved(voice.pitch_range, goal.pitch_range),
    )


class HibariSynthesiser:
    """Speaks a sentence at a time. May be called from any thread; calls run one after another."""

    name = "hibari"
    sample_rate = OUTPUT_RATE

    def __init__(self, model: Path) -> None:
        """`model` is hibari.onnx as it ships in its package. Loading takes about half a second."""
        self._session = _session_with_durations(model)
        self._pronouncer = Pronouncer(hibari_dictionary())
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        """Loads what is loaded at first use, the reader of unknown words included."""
        self.synthesise("Vivavoce zylquist warms up.", voice=VOICES[DEFAULT_VOICE])

    def synthesise(
        self, text: str, *, voice: Voice, emotion: Emotion = Emotion.NEUTRAL, strength: float = 0.5
    ) -> SynthesisedSentence:
        """The same arguments give the same bytes. Raises TextTooLong and NothingToSay."""
        if len(text) > TEXT_CHARS_MAX:
            raise TextTooLong(len(text))
        words = [word.w for word in written_words(text)]
        if not words:
            raise NothingToSay
        with self._lock:
            phonemes = self._pronouncer.pronounce(words)
            if not phonemes:
                return _silence(words)
            manner = prosody(voice, emotion, strength)
            takes = [self._take(run, manner) for run in runs(phonemes)]
        return _sentence(words, takes)

    def _take(self, run: Sequence[Phoneme], manner: Prosody) -> _Take:
        feeds = {
            "ids": np.asarray([self._pronouncer.ids(run)], np.int64),
            "speed": np.asarray([manner.rate], np.float32),
        }
        *parts, f0, durations = self._session.run(None, feeds)
        melody = shaped_melody(f0[0], manner.pitch, manner.pitch_range)
        noise = np.random.default_rng(NOISE_SEED)
        wave: Audio = dsp.synth(*(part[0] for part in parts), melody, noise) * np.float32(GAIN)
        spans = timed(run, np.ravel(durations) * np.float32(DURATION_UNIT_S))
        trim = trim_of(wave, dsp.SR)
        return _Take(_faded(upsampled(_cut(wave, trim))), spans, trim)


@dataclass(frozen=True, slots=True)
class _Take:
    """One run of the model: audio at OUTPUT_RATE, already trimmed, and times on the untrimmed axis."""

    audio: Audio
    spans: tuple[Timed, ...]
    trim: Trim


def _session_with_durations(model: Path) -> onnxruntime.InferenceSession:
    # The graph keeps its phoneme durations to itself. As one more output they are the times of words and
    # lips, exact and free.
    graph = onnx.load(str(model))
    graph.graph.output.append(onnx.ValueInfoProto(name=_DURATIONS))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def shaped_melody(f0: Audio, pitch: float, pitch_range: float) -> Audio:
    """f0 in Hz per 12.5 ms, 0 where unvoiced: moved by `pitch`, its distance from the mean (in octaves)
    times `pitch_range`."""
    voiced = f0 >= VOICED_HZ_MIN
    if not voiced.any():
        return f0
    octaves = np.log2(f0[voiced])
    mean = octaves.mean()
    out = np.zeros_like(f0)
    out[voiced] = np.exp2(mean + (octaves - mean) * pitch_range) * pitch
    return out


def _half_band() -> Audio:
    # Between two samples of a band-limited signal lies their sinc-weighted sum; the window keeps the sum
    # short. The odd half of a polyphase interpolator by two, whose even half is the signal itself.
    at = np.arange(_UPSAMPLER_TAPS) - (_UPSAMPLER_TAPS - 1) / 2
    taps = np.sinc(at) * np.kaiser(_UPSAMPLER_TAPS, 8.0)
    half: Audio = (taps / taps.sum()).astype(np.float32)
    return half


_HALF_BAND = _half_band()


def upsampled(wave: Audio) -> Audio:
    """Twice the samples per second, in place in time: out[2k] is wave[k]."""
    out = np.empty(len(wave) * 2, np.float32)
    out[::2] = wave
    out[1::2] = np.convolve(wave, _HALF_BAND)[_UPSAMPLER_TAPS // 2 :][: len(wave)]
    return out


def _cut(wave: Audio, trim: Trim) -> Audio:
    missing = max(0, trim.end - len(wave))
    return np.pad(wave[trim.start : trim.end], (0, missing))


def _faded(audio: Audio) -> Audio:
    length = min(OUTPUT_RATE * FADE_MS // 1000, len(audio) // 2)
    ramp = np.linspace(0.0, 1.0, length, endpoint=False, dtype=np.float32)
    audio[:length] *= ramp
    audio[len(audio) - length :] *= ramp[::-1]
    return audio


def _pcm16(audio: Audio) -> bytes:
    return (np.clip(audio, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()


def _sentence(words: Sequence[str], takes: Sequence[_Take]) -> SynthesisedSentence:
    sounds: list[Sound] = []
    spans: dict[int, tuple[float, float]] = {}
    clock = 0.0
    for take in takes:
        length_s = len(take.audio) / OUTPUT_RATE
        sounds += sounds_of(take.spans, take.trim, length_s=length_s, at_s=clock)
        for number, (start, end) in spans_of_words(take.spans, take.trim, at_s=clock).items():
            spans[number] = (spans[number][0] if number in spans else start, end)
        clock += length_s
    spoken: list[SpokenWord] = []
    end_ms = round(min((start for start, _ in spans.values()), default=0.0) * 1000)
    for number, written in enumerate(words):
        if number in spans:
            start_ms, end_ms = (round(edge * 1000) for edge in spans[number])
            spoken.append(SpokenWord(written, start_ms, end_ms))
        else:
            spoken.append(SpokenWord(written, end_ms, end_ms))
    pcm = b"".join(_pcm16(take.audio) for take in takes)
    return SynthesisedSentence(pcm, OUTPUT_RATE, tuple(sounds), tuple(spoken))


def _silence(words: Sequence[str]) -> SynthesisedSentence:
    edges = [UNSPEAKABLE_MS * number // len(words) for number in range(len(words) + 1)]
    return SynthesisedSentence(
        bytes(OUTPUT_RATE * UNSPEAKABLE_MS // 1000 * 2),
        OUTPUT_RATE,
        (Sound(" ", 0.0, UNSPEAKABLE_MS / 1000),),
        tuple(
            SpokenWord(word, start, end)
            for word, start, end in zip(words, edges[:-1], edges[1:], strict=True)
        ),
    )
