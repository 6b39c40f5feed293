"""What a caller may set for one conversation, with the bounds of each."""

from __future__ import annotations

from pydantic import Field

from domain.events.payload import Frozen


class ConversationProperties(Frozen):
    """Durations are seconds. Names follow the field's own vocabulary."""

    max_call_duration: int = Field(default=3600, ge=10, le=6 * 3600)
    # Nobody came: how long the persona waits for the first join.
    participant_absent_timeout: int = Field(default=300, ge=5, le=3600)
    # They came and their connection went: how long they may take to return.
    participant_left_timeout: int = Field(default=30, ge=1, le=600)
    # Connected, and neither side says anything.
    idle_timeout: int = Field(default=180, ge=10, le=3600)
    # No media worker could be had: how long the call waits for one.
    reassign_timeout: int = Field(default=60, ge=1, le=600)
    enable_recording: bool = True
    audio_only: bool = False
    language: str = Field(default="en", pattern=r"^en(-[A-Z]{2})?$")
