"""A recogniser that reads a script: so many words for each second of audio."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.conversation.words import Word
from media.hearing.asr import Recognition, Times
from media.hearing.moonshine import AUDIO_SECONDS_MAX, AudioTooLong, RecognitionCancelled

BYTES_PER_MS = 32
WORD_MS = 320


@dataclass
class ScriptedRecogniser:
    """Reads a word for each 320 ms of sound: w0, w1 and so on."""

    name: str = "scripted"
    calls: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    """Length in milliseconds and draft of each call."""

    def transcribe(
        self,
        pcm16: bytes,
        *,
        draft: Sequence[int] = (),
        align: bool = False,
        cancelled: threading.Event | None = None,
    ) -> Recognition:
        length_ms = len(pcm16) // BYTES_PER_MS
        if length_ms > AUDIO_SECONDS_MAX * 1000:
            raise AudioTooLong(length_ms / 1000)
        if cancelled is not None and cancelled.is_set():
            raise RecognitionCancelled
        self.calls.append((length_ms, tuple(draft)))
        count = max(1, length_ms // WORD_MS)
        words = tuple(
            Word(f"w{i}", i * WORD_MS, min(length_ms, (i + 1) * WORD_MS), 0.9) for i in range(count)
        )
        times: Times = "aligned" if align else "estimated"
        return Recognition(" ".join(word.w for word in words), words, times, tuple(range(3, 3 + count)))
