"""The one way in which a command ends early on purpose."""

from __future__ import annotations

# Chosen by the person's situation, not by a fault of ours: the sentence says what to do.
STOP_EXIT_CODE = 2


class Stop(Exception):
    """One sentence that says what to do; the command prints it, nothing else, and exits with code 2."""
