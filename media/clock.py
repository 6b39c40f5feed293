"""The session's timeline: milliseconds of media since the conversation's first assignment."""

from __future__ import annotations

import asyncio


class MediaClock:
    """Runs from `offset_ms`, where the last worker's part of the recording ended, at the loop's own pace."""

    def __init__(self, offset_ms: int = 0) -> None:
        self._offset_ms = offset_ms
        self._began_at = asyncio.get_running_loop().time()

    def now_ms(self) -> int:
        return self.at(asyncio.get_running_loop().time())

    def at(self, loop_s: float) -> int:
        """The place of a moment of the loop's clock."""
        return self._offset_ms + round((loop_s - self._began_at) * 1000)
