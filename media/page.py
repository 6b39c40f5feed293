"""What the page is told over the data channel, so that it can show what happens. Nothing depends on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from domain.events.canonical import Json

State = Literal["listening", "thinking", "speaking", "ended"]


class Page:
    """`send` reaches whichever page is connected now."""

    def __init__(self, send: Callable[[dict[str, Json]], None]) -> None:
        self._send = send
        self._state: State = "listening"

    def state(self, state: State, reason: str | None = None) -> None:
        if state != self._state:
            self._state = state
            self._send({"type": "state", "state": state, "reason": reason})

    def again(self) -> None:
        """A page that has just connected knows nothing yet."""
        self._send({"type": "state", "state": self._state, "reason": None})

    def caption(self, role: Literal["user", "persona"], line_id: str, text: str, *, final: bool) -> None:
        self._send({"type": "caption", "role": role, "id": line_id, "text": text, "final": final})

    def interrupted(self, sentence_id: str, played_text: str) -> None:
        self._send({"type": "interrupted", "id": sentence_id, "played_text": played_text})

    def heartbeat(self, media_ms: int) -> None:
        self._send({"type": "heartbeat", "media_ms": media_ms})

    def stages(self, turn_id: str, stages_ms: dict[str, float]) -> None:
        """Where the time to the first sentence of a turn went, in milliseconds."""
        self._send({"type": "stages", "turn_id": turn_id, **stages_ms})
