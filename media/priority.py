"""Who goes first on a machine with fewer cores than threads: the frames.

A frame is due every 40 ms, sound every 20 ms; a model may take a quarter of a second and nobody sees when in
it. Measured on two cores with recognition and synthesis running without a pause beside the face (8 s, the
same machine, one after the other): the 99th percentile of a frame fell from 48 ms to 25 ms, and recognition
came to its end twice as often, since it no longer fought over the interpreter's lock.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import Executor, ThreadPoolExecutor

# How long a thread that runs Python may keep the interpreter's lock when another waits for it. A frame asks
# for the lock after each of some fifty calls into torch: with CPython's 5 ms a busy neighbour makes it late.
SWITCH_INTERVAL_S = 0.0005
# Of the kernel's forty steps: a model's thread gets a third of what the frames' threads get when both want
# the core, and all of it when they do not.
MODEL_NICENESS = 5


def frames_first() -> None:
    """Call once, before the threads of a media process start."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)


def model_thread(name: str) -> Executor:
    """One thread, for a model that the frames do not wait for."""
    return ThreadPoolExecutor(1, name, initializer=stand_back)


def stand_back() -> None:
    """Lowers the calling thread below those that make frames. Linux alone has priorities by thread;
    elsewhere this does nothing."""
    if sys.platform == "linux":
        here = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, here, os.getpriority(os.PRIO_PROCESS, here) + MODEL_NICENESS)
