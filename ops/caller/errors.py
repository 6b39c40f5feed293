"""Why a call could not be made or did not come to its end."""

from __future__ import annotations

from domain.errors import VivavoceError


class CallFailed(VivavoceError):
    """The call did not come to a sealed conversation. The text says what happened and what to do."""

    code = "call_failed"


class LineLost(CallFailed):
    """A connection can no longer be used; a new one may be made in its place."""

    code = "line_lost"


class Unavailable(CallFailed):
    """The interface cannot serve a request just now; the same one may be granted later."""

    code = "unavailable"


class SoundUnusable(CallFailed):
    """A file cannot be played into the call."""

    code = "sound_unusable"
