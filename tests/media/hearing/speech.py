"""Recorded speech and loaded models for the tests, or the reason why there are none."""

import os
import re
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from media.hearing.asr import MoonshineRecogniser
from media.hearing.end_of_turn import SmartTurn
from media.hearing.moonshine import Moonshine
from media.hearing.vad import SileroModel
from media.models import ModelError, ModelName, locate

REPOSITORY = Path(__file__).resolve().parents[3]
RECORDINGS = REPOSITORY.parent / "shared" / "speech"
MODELS_DIR = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vivavoce" / "models"
LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
JFK_TEXT = (
    "And so, my fellow Americans, ask not what your country can do for you, "
    "ask what you can do for your country."
)


def _model(name: ModelName) -> Path:
    try:
        return locate(MODELS_DIR, name)
    except ModelError as error:
        pytest.skip(str(error))


@cache
def moonshine() -> Moonshine:
    return Moonshine.load(
        _model(ModelName.MOONSHINE_ENCODER),
        _model(ModelName.MOONSHINE_DECODER),
        _model(ModelName.MOONSHINE_TOKENS),
    )


def recogniser() -> MoonshineRecogniser:
    return MoonshineRecogniser(moonshine())


@cache
def silero() -> SileroModel:
    return SileroModel(_model(ModelName.SILERO_VAD))


@cache
def smart_turn() -> SmartTurn:
    return SmartTurn(_model(ModelName.SMART_TURN))


@cache
def recording(path: Path) -> bytes:
    """Mono 16 kHz signed 16-bit samples; skips when the recording is not there."""
    if not path.exists():
        pytest.skip(f"the recording {path.name} is not beside the checkout")
    resampler = av.AudioResampler("s16", "mono", 16_000)
    with av.open(str(path)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    frames += resampler.resample(None)
    return b"".join(frame.to_ndarray().astype("<i2").tobytes() for frame in frames)


def jfk() -> bytes:
    return recording(RECORDINGS / "jfk.flac")


def librivox() -> list[tuple[str, bytes]]:
    """Lines read aloud, with their transcripts."""
    if not LIBRIVOX.exists():
        pytest.skip("Debian's pocketsphinx-testdata is not installed")
    lines = (LIBRIVOX / "transcription").read_text().splitlines()
    found = [re.match(r"<s> (.*) </s> \((.*)\)", line) for line in lines]
    return [(line[1], recording(LIBRIVOX / f"{line[2]}.wav")) for line in found if line]


def part(pcm16: bytes, start_s: float, end_s: float) -> bytes:
    return pcm16[round(start_s * 16_000) * 2 : round(end_s * 16_000) * 2]


def silence(seconds: float) -> bytes:
    """A room's quiet noise: digital silence is heard nowhere."""
    noise: NDArray[np.float64] = np.random.default_rng(7).normal(0, 8, round(seconds * 16_000))
    return noise.astype("<i2").tobytes()


def word_errors(expected: str, read: str) -> float:
    """Word error rate, punctuation and capitals aside."""
    wanted, got = (re.sub(r"[^a-z' ]", " ", text.lower()).split() for text in (expected, read))
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(got, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1] / len(wanted)
