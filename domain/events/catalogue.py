"""Every event that a conversation can hold. A name is never used for another fact; a shape never changes:
a new shape is a new schema version and an upcaster in `domain.events.schema`."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field

from domain.conversation.properties import ConversationProperties
from domain.events.payload import Frozen, Payload
from domain.ids import (
    ParticipantId,
    PersonaId,
    ReplyId,
    SentenceId,
    TurnId,
    UtteranceId,
    WorkerId,
)
from domain.mind.emotion import Emotion

Sha256 = str


class EndReason(StrEnum):
    """Why a conversation ended. Safe for a workflow's history."""

    PARTICIPANT_HUNG_UP = "participant_hung_up"
    PARTICIPANT_ABSENT = "participant_absent"
    PARTICIPANT_LEFT = "participant_left"
    IDLE = "idle"
    MAX_CALL_DURATION = "max_call_duration"
    REQUESTED = "requested"  # By the API or an operator.
    GUARDRAIL = "guardrail"
    NO_MEDIA_WORKER = "no_media_worker"
    RECORD_UNAVAILABLE = "record_unavailable"  # The store was away for longer than facts can be kept.


class UnavailableReason(StrEnum):
    """Why no media worker took a conversation. Safe for a workflow's history."""

    ALL_WORKERS_FULL = "all_workers_full"  # Every worker that answered had all its places taken.
    NO_WORKER = "no_worker"  # None answered.


class SentenceKind(StrEnum):
    DISCLOSURE = "disclosure"
    GREETING = "greeting"
    ANSWER = "answer"
    REFUSAL = "refusal"  # What the policy says in place of a sentence that it stopped.
    HANDOVER = "handover"


class Verdict(StrEnum):
    ALLOW = "allow"
    REDACT = "redact"
    REPLACE = "replace"
    REFUSE = "refuse"
    ESCALATE = "escalate"
    END = "end"


class FloorState(StrEnum):
    LISTENING = "listening"  # Nobody speaks.
    PARTICIPANT = "participant"
    PAUSE = "pause"  # The participant is silent, and may go on.
    PERSONA = "persona"
    OVERLAP = "overlap"


class TrackKind(StrEnum):
    PARTICIPANT_AUDIO = "participant_audio"
    PERSONA_AUDIO = "persona_audio"
    PERSONA_VIDEO = "persona_video"


# --- lifecycle ---------------------------------------------------------------------------------------
class ConversationRequested(Payload):
    type: ClassVar[str] = "conversation.requested"
    personal: ClassVar[bool] = True
    persona_id: PersonaId
    persona_revision: int
    policy_revision: Sha256
    knowledge_revision: Sha256
    properties: ConversationProperties
    conversational_context: str | None = None
    custom_greeting: str | None = None


class ConversationStarted(Payload):
    type: ClassVar[str] = "conversation.started"


class ConversationEnded(Payload):
    type: ClassVar[str] = "conversation.ended"
    reason: EndReason


class ConversationSealed(Payload):
    type: ClassVar[str] = "conversation.sealed"
    # Events before this one.
    count: int
    # SHA-256 over the canonical headers of all of them, in order.
    headers_sha256: Sha256
    capture: Literal["complete", "incomplete"]
    gaps: tuple[str, ...] = ()


class ParticipantJoined(Payload):
    type: ClassVar[str] = "participant.joined"
    participant_id: ParticipantId


class ParticipantLeft(Payload):
    type: ClassVar[str] = "participant.left"
    participant_id: ParticipantId
    reason: Literal["hung_up", "connection_lost", "ended"]


# --- media -------------------------------------------------------------------------------------------
class MediaAssigned(Payload):
    type: ClassVar[str] = "media.assigned"
    worker_id: WorkerId
    # Where the API forwards offers to, inside the installation.
    address: str


class MediaConnected(Payload):
    type: ClassVar[str] = "media.connected"
    participant_id: ParticipantId
    # Counts the peer connections of this session, from 1.
    connection: int


class MediaLost(Payload):
    type: ClassVar[str] = "media.lost"
    worker_id: WorkerId
    reason: Literal[
        "heartbeat_timeout", "worker_failed", "no_worker", "refused", "worker_stopped", "workflow_restarted"
    ]


class MediaUnavailable(Payload):
    """No media worker took the conversation, which goes on asking for one; offers are answered with 503
    meanwhile. Appended once each time that it waits, however long that takes."""

    type: ClassVar[str] = "media.unavailable"
    reason: UnavailableReason
    # From the first request for a worker to this event.
    waited_ms: int = Field(ge=0)


class MediaDisconnected(Payload):
    type: ClassVar[str] = "media.disconnected"
    participant_id: ParticipantId
    connection: int
    reason: Literal["closed", "lost", "replaced"]


class FloorChanged(Payload):
    type: ClassVar[str] = "floor.changed"
    state: FloorState
    reason: str = Field(max_length=64)


class RecordingSegmentSealed(Payload):
    type: ClassVar[str] = "recording.segment_sealed"
    schema_version: ClassVar[int] = 2
    track: TrackKind
    segment: int
    # Relative to the recordings folder; made of ids only.
    file: str
    sha256: Sha256
    size_bytes: int
    # None where a later session found the file: what it knew was lost with its worker.
    start_media_ms: int | None
    duration_ms: int | None
    # Left behind by a worker that died: its end may be missing.
    cut: bool


# --- what the participant said -----------------------------------------------------------------------
class HeardWord(Frozen):
    w: str
    # Milliseconds on the recording's timeline.
    start_ms: int
    end_ms: int
    confidence: float = Field(ge=0, le=1)


class UtteranceTranscribed(Payload):
    type: ClassVar[str] = "utterance.transcribed"
    personal: ClassVar[bool] = True
    utterance_id: UtteranceId
    turn_id: TurnId
    text: str
    words: tuple[HeardWord, ...]
    times: Literal["estimated", "aligned", "none"]
    recogniser: str
    source: Literal["speech", "text"]
    started_media_ms: int
    ended_media_ms: int


class TextInjected(Payload):
    """Text that an operator or a program put into the conversation. It was not spoken by anyone."""

    type: ClassVar[str] = "text.injected"
    personal: ClassVar[bool] = True
    text: str


# --- the mind ----------------------------------------------------------------------------------------
class RetrievedPassage(Frozen):
    document_id: str
    chunk_id: str
    score: float
    rank: int


class RetrievalOutcome(StrEnum):
    FOUND = "found"
    NOTHING = "nothing"  # The documents were looked through, and hold nothing near the question.
    UNAVAILABLE = "unavailable"  # They could not be looked through.
    UNKNOWN = "unknown"  # Recorded before the last two were told apart.


class RetrievalPerformed(Payload):
    type: ClassVar[str] = "retrieval.performed"
    schema_version: ClassVar[int] = 2
    turn_id: TurnId
    knowledge_revision: Sha256
    strategy: Literal["speed", "balanced", "quality"]
    passages: tuple[RetrievedPassage, ...]
    outcome: RetrievalOutcome
    attempts: int = Field(ge=1)
    took_ms: float  # Of all attempts, with the pauses between them.


class PromptAssembled(Payload):
    type: ClassVar[str] = "prompt.assembled"
    personal: ClassVar[bool] = True
    turn_id: TurnId
    digest: Sha256
    # Exactly what the answerer was given.
    content: str


class ReplyGenerated(Payload):
    type: ClassVar[str] = "reply.generated"
    schema_version: ClassVar[int] = 2
    reply_id: ReplyId
    turn_id: TurnId
    answerer: str
    sentences: int
    finish: Literal["complete", "cancelled", "stopped_by_policy", "cut_at_limit", "failed"]


class GuardrailEvaluated(Payload):
    type: ClassVar[str] = "guardrail.evaluated"
    personal: ClassVar[bool] = True
    sentence_id: SentenceId | None
    scope: Literal["input", "output"]
    policy_revision: Sha256
    verdict: Verdict
    # The rule that decided; None where every rule let it pass.
    rule: str | None
    evaluated: tuple[str, ...]
    # What was judged, word for word; what is said in its place is the committed sentence.
    candidate: str
    failed: tuple[str, ...] = ()


# --- what the persona said ---------------------------------------------------------------------------
class SentenceCommitted(Payload):
    type: ClassVar[str] = "sentence.committed"
    personal: ClassVar[bool] = True
    sentence_id: SentenceId
    reply_id: ReplyId
    turn_id: TurnId
    # From 0 within the reply.
    index: int
    kind: SentenceKind
    text: str
    emotion: Emotion


class SentenceSynthesised(Payload):
    type: ClassVar[str] = "sentence.synthesised"
    sentence_id: SentenceId
    voice: str
    duration_ms: int
    audio_sha256: Sha256


class SpokenSpan(Frozen):
    w: str
    # Milliseconds on the recording's timeline.
    start_ms: int
    end_ms: int


class SentencePlayed(Payload):
    type: ClassVar[str] = "sentence.played"
    personal: ClassVar[bool] = True
    sentence_id: SentenceId
    started_media_ms: int
    played_ms: int
    words: tuple[SpokenSpan, ...] = ()


class SentenceInterrupted(Payload):
    type: ClassVar[str] = "sentence.interrupted"
    personal: ClassVar[bool] = True
    sentence_id: SentenceId
    # None where not one packet of it was handed to the transport.
    started_media_ms: int | None
    played_ms: int
    played_text: str
    words: tuple[SpokenSpan, ...] = ()
    cause: Literal["barge_in", "ended", "connection_lost", "withdrawn"]


class DisclosurePresented(Payload):
    """The participant has been told, to the last word, that they speak with an AI."""

    type: ClassVar[str] = "disclosure.presented"
    sentence_id: SentenceId
    language: str


class HandoffRequested(Payload):
    type: ClassVar[str] = "handoff.requested"
    rule: str
    turn_id: TurnId


# --- configuration -----------------------------------------------------------------------------------
class PersonaPublished(Payload):
    type: ClassVar[str] = "persona.published"
    persona_id: PersonaId
    revision: int
    content_sha256: Sha256
    policy_revision: Sha256
    knowledge_revision: Sha256


ConversationPayload = (
    ConversationRequested
    | ConversationStarted
    | ConversationEnded
    | ConversationSealed
    | ParticipantJoined
    | ParticipantLeft
    | MediaAssigned
    | MediaConnected
    | MediaDisconnected
    | MediaLost
    | MediaUnavailable
    | FloorChanged
    | RecordingSegmentSealed
    | UtteranceTranscribed
    | TextInjected
    | RetrievalPerformed
    | PromptAssembled
    | ReplyGenerated
    | GuardrailEvaluated
    | SentenceCommitted
    | SentenceSynthesised
    | SentencePlayed
    | SentenceInterrupted
    | DisclosurePresented
    | HandoffRequested
)

ALL_PAYLOADS: tuple[type[Payload], ...] = (
    ConversationRequested,
    ConversationStarted,
    ConversationEnded,
    ConversationSealed,
    ParticipantJoined,
    ParticipantLeft,
    MediaAssigned,
    MediaConnected,
    MediaDisconnected,
    MediaLost,
    MediaUnavailable,
    FloorChanged,
    RecordingSegmentSealed,
    UtteranceTranscribed,
    TextInjected,
    RetrievalPerformed,
    PromptAssembled,
    ReplyGenerated,
    GuardrailEvaluated,
    SentenceCommitted,
    SentenceSynthesised,
    SentencePlayed,
    SentenceInterrupted,
    DisclosurePresented,
    HandoffRequested,
    PersonaPublished,
)
