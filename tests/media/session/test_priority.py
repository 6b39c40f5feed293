"""Who goes first when there are more threads than cores."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from media.priority import MODEL_NICENESS, SWITCH_INTERVAL_S, model_thread

NICENESS_MAX = 19  # The kernel's last step.


def _niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
def test_a_model_stands_back_and_whoever_asked_it_does_not() -> None:
    own = _niceness()
    with model_thread("model") as model, ThreadPoolExecutor(1) as frames:
        of_model = model.submit(_niceness).result()
        of_frames = frames.submit(_niceness).result()

    assert of_model == min(own + MODEL_NICENESS, NICENESS_MAX)
    assert of_frames == _niceness() == own


def test_a_media_process_hands_the_interpreter_over_before_a_frame_is_late() -> None:
    script = (
        "import sys; from media.priority import frames_first; frames_first(); print(sys.getswitchinterval())"
    )

    asked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert float(asked.stdout) == SWITCH_INTERVAL_S
