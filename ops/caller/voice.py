"""The scripted caller: three questions in a pitched voice of the built-in synthesiser.

A clone holds no recordings of people. The voice is one that no persona may have, so that nobody takes the
caller for the persona who answers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from pydantic import Field, ValidationError

from domain.events.payload import Frozen
from domain.speech import CALLER_VOICE, VOICES
from media.models import ModelName, locate
from media.speaking.tts import TEXT_CHARS_MAX, HibariSynthesiser
from ops.caller.errors import SoundUnusable
from ops.caller.sound import Sound

QUESTIONS_MAX = 100
QUESTIONS = Path(__file__).resolve().parents[1] / "examples" / "claims_desk" / "questions.yaml"


class _Questions(Frozen):
    questions: tuple[str, ...] = Field(min_length=1, max_length=QUESTIONS_MAX)


def read_questions(path: Path = QUESTIONS) -> tuple[str, ...]:
    """Raises SoundUnusable."""
    try:
        return _Questions.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).questions
    except (OSError, ValidationError, yaml.YAMLError) as error:
        raise SoundUnusable(f"{path} holds no list of `questions`: {error}") from error


def ask(questions: tuple[str, ...], models_dir: Path) -> list[Sound]:
    """Speaks each question. Takes about half a second, and raises ModelError without the voice's file."""
    synthesiser = HibariSynthesiser(locate(models_dir, ModelName.HIBARI))
    sounds: list[Sound] = []
    for number, question in enumerate(questions, start=1):
        if len(question) > TEXT_CHARS_MAX:
            raise SoundUnusable(f"Question {number} is longer than {TEXT_CHARS_MAX} characters: split it.")
        spoken = synthesiser.synthesise(question, voice=VOICES[CALLER_VOICE])
        sounds.append(Sound.of(f"question {number}", np.frombuffer(spoken.pcm16, np.int16)))
    return sounds
