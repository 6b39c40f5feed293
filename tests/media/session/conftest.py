"""Models for the session tests: loaded once, skipped with the reason where the files are not there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from domain.speech import CALLER_VOICE, VOICES
from media.models import ModelError, verify_all
from tests.media.session.rig import MODELS_DIR, Models


@pytest.fixture(scope="session")
def models() -> Models:
    try:
        verify_all(MODELS_DIR)
    except ModelError as error:
        pytest.skip(str(error))
    return Models()


@pytest.fixture(scope="session")
def speak(models: Models) -> Callable[[str], np.ndarray]:
    """A caller's voice: the built-in synthesiser, lowered, as 48 kHz samples."""

    def speech(text: str) -> np.ndarray:
        said = models.synthesiser.synthesise(text, voice=VOICES[CALLER_VOICE])
        return np.frombuffer(said.pcm16, np.int16)

    return speech
