"""What the caller says: files of any format, brought to 48 kHz mono."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from ops.caller.errors import SoundUnusable
from ops.caller.loudness import SAMPLE_RATE, SPEECH_DBFS, Pcm, speech_span

SOUND_SECONDS_MAX = 600


@dataclass(frozen=True, slots=True)
class Sound:
    """Something to say. `first_speech` and `last_speech` are sample indices into `pcm`."""

    name: str
    pcm: Pcm
    first_speech: int
    last_speech: int

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / SAMPLE_RATE

    @classmethod
    def of(cls, name: str, pcm: Pcm) -> Sound:
        """Raises SoundUnusable where nothing in it counts as speech."""
        span = speech_span(pcm)
        if span is None:
            raise SoundUnusable(
                f"{name} holds nothing louder than {SPEECH_DBFS:.0f} dBFS, so there is no speech to measure: "
                "choose another recording or make it louder."
            )
        return cls(name, pcm, *span)


def read_sound(path: Path) -> Sound:
    """The first audio stream of a file. Raises SoundUnusable."""
    if not path.is_file():
        raise SoundUnusable(f"There is no file {path}: name an audio file.")
    try:
        pcm = _decode(path)
    except (av.FFmpegError, IndexError, OSError) as error:
        raise SoundUnusable(f"{path} cannot be read as audio ({error}): name another file.") from error
    return Sound.of(path.name, pcm)


def _decode(path: Path) -> Pcm:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    pieces: list[Pcm] = []
    samples = 0
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.audio[0]):
            for piece in resampler.resample(frame):
                pieces.append(_mono(piece))
                samples += len(pieces[-1])
            if samples > SOUND_SECONDS_MAX * SAMPLE_RATE:
                raise SoundUnusable(f"{path} is longer than {SOUND_SECONDS_MAX // 60} minutes: cut it.")
        pieces.extend(_mono(piece) for piece in resampler.resample(None))
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


def _mono(frame: av.AudioFrame) -> Pcm:
    return np.ascontiguousarray(frame.to_ndarray()).reshape(-1).astype(np.int16, copy=False)
