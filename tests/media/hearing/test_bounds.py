"""Limits of the hearing: how far its clock may slip, and how many words a second may hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from domain.speech import CALLER_VOICE, VOICES
from media.hearing import moonshine
from media.hearing.asr import MoonshineRecogniser
from media.hearing.ear import CLOCK_SLIP_MS_MAX
from media.hearing.moonshine import TOKENS_PER_S_MAX, TOKENS_SPARE
from media.hearing.vad import WINDOW_MS
from media.models import ModelError, verify_all
from tests.media.session.rig import MODELS_DIR, Models
from tests.media.session.test_ear import hearing

Speak = Callable[[str], np.ndarray]


@pytest.fixture(scope="module")
def models() -> Models:
    try:
        verify_all(MODELS_DIR)
    except ModelError as error:
        pytest.skip(str(error))
    return Models()


@pytest.mark.parametrize(("slip_ms", "set_anew"), [(CLOCK_SLIP_MS_MAX, False), (CLOCK_SLIP_MS_MAX + 1, True)])
async def test_the_clock_is_set_anew_only_beyond_the_limit(
    models: Models, slip_ms: int, set_anew: bool
) -> None:
    # Given an ear whose stream stands at ten seconds of the timeline
    quiet = bytes(WINDOW_MS * 16 * 2)
    async with hearing(models) as rig:
        rig.ear.feed(quiet, 10_000)
        before = rig.ear._offset_ms

        # When the next sound comes later than its samples say
        rig.ear.feed(quiet, 10_000 + WINDOW_MS + slip_ms)
        after = rig.ear._offset_ms

    # Then a small slip is the network's, and a large one is sound that was lost
    assert before is not None
    assert after == (before + slip_ms if set_anew else before)


def test_a_reading_holds_no_more_tokens_than_a_second_can(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a long sentence, when a second may hold no word at all
    said = models.synthesiser.synthesise("We answer every question in writing.", voice=VOICES[CALLER_VOICE])
    samples = np.frombuffer(said.pcm16, np.int16)[::3].astype(np.float32) / np.float32(32_768)
    recogniser = models.hearing.recogniser
    assert isinstance(recogniser, MoonshineRecogniser)
    model = recogniser._model
    whole = len(model.transcribe(samples).tokens)
    monkeypatch.setattr(moonshine, "TOKENS_PER_S_MAX", 0)

    # Then the reading ends at the limit; with the real one it ends with the sentence
    assert len(model.transcribe(samples).tokens) == TOKENS_SPARE
    assert TOKENS_SPARE < whole < samples.size / 16_000 * TOKENS_PER_S_MAX + TOKENS_SPARE
