"""What whole-stack calls are made with: a stack, recordings in another voice, a persona of few words."""

from __future__ import annotations

import sys
import tempfile
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from domain.speech import CALLER_VOICE, VOICES
from media.models import ModelError, ModelName, locate, verify_all
from media.speaking.tts import HibariSynthesiser
from ops.cli.options import models_folder
from ops.devstack.temporal import free_port
from tests.stack import STOP_WITHIN_S, RunningStack, stack

Say = Callable[..., Path]

# It greets in a breath, so that a test waits for its question and not for politeness.
BRIEF = """
name: Ivo
system_prompt: You answer from the documents.
disclosure: You are speaking with an AI.
greeting: Hello.
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
        stack(Path(folder) / "data", free_port(), **settings) as (process, link),
    ):
        yield RunningStack(process, Path(folder) / "data", link)
        process.terminate()
        process.wait(STOP_WITHIN_S)


def recordings(folder: Path) -> Say:
    """Makes recordings in the synthesiser's lowered voice: `say(name, text, lead_s=…, tail_s=…)`."""
    voice = HibariSynthesiser(locate(models_folder(None), ModelName.HIBARI))

    def say(name: str, *texts: str, lead_s: float = 0.0, gap_s: float = 0.0, tail_s: float = 0.0) -> Path:
        parts = [silence(lead_s)]
        for text in texts:
            said = voice.synthesise(text, voice=VOICES[CALLER_VOICE])
            parts += [np.frombuffer(said.pcm16, np.int16), silence(gap_s)]
        path = folder / f"{name}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(48_000)
            file.writeframes(np.concatenate([*parts, silence(tail_s)]).tobytes())
        return path

    return say


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * 48_000), np.int16)
