"""What whole-stack calls are made with: a stack, recordings in another voice, a persona of few words."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from domain.speech import CALLER_VOICE, VOICES
from media.models import ModelError, ModelName, locate, verify_all
from media.speaking.tts import HibariSynthesiser
from ops.caller.loudness import SAMPLE_RATE, Pcm
from ops.caller.sound import read_sound
from ops.cli.options import models_folder
from ops.devstack.temporal import free_port
from tests.stack import ROOT, STOP_WITHIN_S, RunningStack, stack

Say = Callable[..., Path]

# A person's speech lies beside the checkout, where there is any: recordings are not in the repository.
JFK = ROOT.parent / "shared" / "speech" / "jfk.flac"

# It greets in a breath, so that a test waits for its question and not for politeness.
BRIEF = """
name: Ivo
system_prompt: You answer from the documents.
disclosure: You are speaking with an AI.
greeting: Hello.
not_found: >-
  I don't have that in my documents, so I can't say. What I can tell you about is how a burst pipe is
  reported, and how a complaint is made.
documents:
  - title: Claims
    text: |
      # Reporting
      You have thirty days to report a burst pipe, counted from the day on which you noticed it, and you
      should send us photographs of the damage, the invoice of the plumber, and a list of what was ruined.

      # Complaints
      A complaint is answered within eight weeks, and you may write to the ombudsman if you are not content.
"""


def running_stack(**settings: object) -> Iterator[RunningStack]:
    """Started as a user starts it; skips with the reason where it cannot run. The folder is not in
    pytest's own, which every run closes to other users: the embedded server is one."""
    if sys.platform != "linux":
        pytest.skip("the stack of these tests needs Linux")
    try:
        verify_all(models_folder(None))
    except ModelError as error:
        pytest.skip(str(error))
    with (
        tempfile.TemporaryDirectory(prefix="vivavoce-test-") as folder,
        stack(Path(folder) / "data", free_port(), (), **settings) as (process, link),
    ):
        yield RunningStack(process, Path(folder) / "data", link)
        process.terminate()
        process.wait(STOP_WITHIN_S)


@contextmanager
def held_back(supervisor: subprocess.Popen[str]) -> Iterator[None]:
    """The supervisor sees nothing, and starts nothing again, until it goes on."""
    supervisor.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        supervisor.send_signal(signal.SIGCONT)


def recordings(folder: Path) -> Say:
    """Makes recordings in the synthesiser's lowered voice: `say(name, text, lead_s=…, tail_s=…)`."""
    voice = HibariSynthesiser(locate(models_folder(None), ModelName.HIBARI))

    def say(name: str, *texts: str, lead_s: float = 0.0, gap_s: float = 0.0, tail_s: float = 0.0) -> Path:
        parts = [silence(lead_s)]
        for text in texts:
            said = voice.synthesise(text, voice=VOICES[CALLER_VOICE])
            parts += [np.frombuffer(said.pcm16, np.int16), silence(gap_s)]
        return written(folder / f"{name}.wav", *parts, silence(tail_s))

    return say


def excerpt(path: Path, start_s: float) -> Pcm:
    """A recording of any format from that second to its end."""
    return read_sound(path).pcm[round(start_s * SAMPLE_RATE) :]


def written(path: Path, *parts: Pcm) -> Path:
    """The parts one after another as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.concatenate(parts).tobytes())
    return path


def silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)
