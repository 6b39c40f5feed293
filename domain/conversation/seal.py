"""What a seal says of a stream: how many events, the digest of their headers, and what is missing."""

from __future__ import annotations

import hashlib
import re

from domain.conversation.state import Status
from domain.events.canonical import canonical_bytes
from domain.events.catalogue import (
    ConversationEnded,
    ConversationRequested,
    ConversationSealed,
    ConversationStarted,
    EndReason,
    GuardrailEvaluated,
    MediaAssigned,
    MediaConnected,
    MediaDisconnected,
    MediaLost,
    MediaUnavailable,
    ParticipantLeft,
    SentenceCommitted,
    SentenceInterrupted,
    SentencePlayed,
    UtteranceTranscribed,
    Verdict,
)
from domain.events.envelope import RecordedEvent
from domain.events.payload import Payload
from domain.ids import EventId, SentenceId

# Gaps that a seal names; of more than that it says how many more there are.
GAPS_MAX = 64
# A gap is a code with an id or a number, never a text: what does not look like one is not written down.
_CODE = re.compile(r"[a-z][a-z0-9_]{0,40}(:[a-z0-9-]{1,40})?")
UNCODED_GAP = "uncoded"
# The session did not report that it had written everything.
NOT_DRAINED = "not_drained"
# Reasons after which the worker can have had something that it did not write.
_UNDRAINED = frozenset({"heartbeat_timeout", "worker_failed", "workflow_restarted", "refused"})


class Survey:
    """Takes a stream's events in the order of their versions, and knows what its seal must say.

    The digest is SHA-256 over one line per event: the canonical header and a line feed. So the headers
    written out as NDJSON can be checked with any SHA-256 program.
    """

    def __init__(self) -> None:
        self.version = 0
        self.ended: EventId | None = None
        self.sealed: ConversationSealed | None = None
        self._lines = hashlib.sha256()
        self._unsettled: dict[SentenceId, None] = {}
        self._ends: dict[EndReason, EventId] = {}
        self._assigned_epoch = 0
        self._lost: list[int] = []

    @property
    def status(self) -> Status:
        if self.sealed is not None:
            return Status.SEALED
        return Status.LIVE if self.ended is None else Status.WRAPPING_UP

    def take(self, event: RecordedEvent[Payload]) -> None:
        """Raises ValueError when a version is missing, since a digest over a hole would prove nothing."""
        if event.version != self.version + 1:
            raise ValueError(f"version {event.version} does not follow {self.version}")
        self.version = event.version
        match event.payload:
            case ConversationSealed():
                # The seal speaks of what stands before it.
                self.sealed = event.payload
                return
            case ConversationEnded():
                self.ended = event.event_id
            case SentenceCommitted():
                self._unsettled[event.payload.sentence_id] = None
            case SentencePlayed() | SentenceInterrupted():
                self._unsettled.pop(event.payload.sentence_id, None)
            case MediaAssigned():
                self._assigned_epoch = event.session_epoch
            case MediaLost() if event.payload.reason in _UNDRAINED:
                self._lost.append(self._assigned_epoch)
            case _:
                pass
        for reason in _ends_by(event.payload):
            self._ends[reason] = event.event_id
        self._lines.update(canonical_bytes(event.header()))
        self._lines.update(b"\n")

    def cause_of_end(self, reason: EndReason) -> EventId | None:
        """The event that an end for this reason follows from, where nobody named one: for a timer, the newest
        event that set it. None for a stream that does not begin with a request."""
        return self._ends.get(reason)

    def seal(self, *, last_version: int | None, reported: tuple[str, ...]) -> ConversationSealed:
        """`last_version` is that of the drained session's last event, None when none reported."""
        gaps = [gap if _CODE.fullmatch(gap) else UNCODED_GAP for gap in reported]
        if last_version is None:
            gaps.append(NOT_DRAINED)
        elif last_version > self.version:
            gaps.append(f"versions_missing:{last_version - self.version}")
        gaps += [f"session_lost:{epoch}" for epoch in self._lost]
        gaps += [f"sentence_without_fate:{sentence}" for sentence in self._unsettled]
        if len(gaps) > GAPS_MAX:
            gaps = [*gaps[: GAPS_MAX - 1], f"more_gaps:{len(gaps) - GAPS_MAX + 1}"]
        return ConversationSealed(
            count=self.version,
            headers_sha256=self._lines.hexdigest(),
            capture="incomplete" if gaps else "complete",
            gaps=tuple(gaps),
        )


def _ends_by(payload: Payload) -> tuple[EndReason, ...]:
    """The reasons to end that an event stands behind, unless a newer one does."""
    match payload:
        case ConversationRequested():
            return tuple(EndReason)
        case ConversationStarted():
            return (EndReason.MAX_CALL_DURATION,)
        case MediaAssigned():
            # A call that was live and is carried by another worker waits for its participant to come back.
            return (EndReason.PARTICIPANT_LEFT, EndReason.RECORD_UNAVAILABLE)
        case MediaConnected():
            return (EndReason.IDLE, EndReason.RECORD_UNAVAILABLE, EndReason.PARTICIPANT_HUNG_UP)
        case MediaDisconnected():
            return (EndReason.PARTICIPANT_LEFT,)
        case MediaLost() | MediaUnavailable():
            return (EndReason.NO_MEDIA_WORKER,)
        case ParticipantLeft():
            return (EndReason.PARTICIPANT_HUNG_UP,)
        case UtteranceTranscribed() | SentencePlayed():
            return (EndReason.IDLE,)
        case GuardrailEvaluated() if payload.verdict is Verdict.END:
            return (EndReason.GUARDRAIL,)
        case _:
            return ()
