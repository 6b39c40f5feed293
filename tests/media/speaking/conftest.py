from __future__ import annotations

from pathlib import Path

import pytest

from media.models import ModelName, locate
from media.speaking.tts import HibariSynthesiser


@pytest.fixture(scope="session")
def synthesiser() -> HibariSynthesiser:
    # The model lies in its installed package, so the models folder is not looked at.
    synthesiser = HibariSynthesiser(locate(Path(), ModelName.HIBARI))
    synthesiser.warm_up()
    return synthesiser
