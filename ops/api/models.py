"""What HTTP takes and gives. Everything taken is bounded, and an unknown field is refused by name."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from domain.conversation.properties import ConversationProperties
from domain.conversation.state import Status
from domain.events.catalogue import EndReason
from domain.events.payload import Frozen
from domain.ids import ConversationId, ParticipantId, PersonaId
from domain.mind.persona import Persona
from domain.text import storable
from ops.event_view import EventView

CONTEXT_CHARS_MAX = 20_000
GREETING_CHARS_MAX = 1_000
SDP_CHARS_MAX = 60_000
TOKEN_CHARS_MAX = 200
PAGE_DEFAULT = 50
PAGE_MAX = 100
EVENTS_PAGE_DEFAULT = 100
EVENTS_PAGE_MAX = 500
CURSOR_CHARS_MAX = 200
IDEMPOTENCY_KEY_CHARS_MAX = 128

_EXAMPLE_CONVERSATION = "0b6f5a1c-52f0-4f0a-8d0e-6f1f6f0a7d11"
_EXAMPLE_PERSONA = "7c2d2b50-9f3e-4a35-a1de-2f6d3a5b9c10"
_EXAMPLE_TIME = "2026-03-02T09:30:00Z"
_EXAMPLE_TOKEN = "vvj_9tS2m6r1K0c3y5Qw8eXa"  # noqa: S105
_EXAMPLE_SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def _printable(text: str) -> str:
    """Text that is spoken or given to a model holds no control characters but tab and line ends."""
    if not storable(text):
        raise ValueError("holds a NUL or half a surrogate pair; send whole characters")
    if any((char < " " and char not in "\t\n\r") or char == "\x7f" for char in text):
        raise ValueError("holds control characters; send plain text")
    return text


PlainText = Annotated[str, AfterValidator(_printable)]


class View(BaseModel):
    """The base of every answer."""

    model_config = ConfigDict(frozen=True)


# --- personas ----------------------------------------------------------------------------------------
class DocumentView(View):
    document_id: str
    title: str
    media_type: str
    characters: int


class PersonaPublication(View):
    """One immutable revision. The three digests say what a conversation under it is held under."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "persona_id": _EXAMPLE_PERSONA,
                    "revision": 1,
                    "content_sha256": _EXAMPLE_SHA,
                    "policy_revision": _EXAMPLE_SHA,
                    "knowledge_revision": _EXAMPLE_SHA,
                    "documents": [
                        {
                            "document_id": "claims-guide",
                            "title": "Claims guide",
                            "media_type": "text/markdown",
                            "characters": 5120,
                        }
                    ],
                }
            ]
        },
    )

    persona_id: PersonaId
    revision: int
    content_sha256: str
    policy_revision: str
    knowledge_revision: str
    documents: list[DocumentView]


class PersonaSummary(View):
    persona_id: PersonaId
    # The newest.
    revision: int
    name: str
    language: str
    document_titles: list[str]
    published_at: datetime


class PersonaPage(View):
    personas: list[PersonaSummary]
    next_cursor: str | None = None


class PersonaView(PersonaPublication):
    """A revision with its content."""

    persona: Persona


class PersonaSelector(Frozen):
    persona_id: PersonaId | None = Field(
        default=None, description="Publish the next revision of this persona. Without it a new one is made."
    )


class RevisionSelector(Frozen):
    revision: int | None = Field(default=None, ge=1, description="The newest where it is not given.")


# --- conversations -----------------------------------------------------------------------------------
class CreateConversation(Frozen):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "persona_id": _EXAMPLE_PERSONA,
                    "conversational_context": "The caller reported a burst pipe this morning.",
                    "properties": {"max_call_duration": 900, "enable_recording": True},
                }
            ]
        },
    )

    persona_id: PersonaId
    persona_revision: int | None = Field(
        default=None, ge=1, description="The newest where it is not given; pinned for the whole conversation."
    )
    conversational_context: PlainText | None = Field(
        default=None, max_length=CONTEXT_CHARS_MAX, description="What the persona knows beforehand."
    )
    custom_greeting: PlainText | None = Field(
        default=None,
        min_length=1,
        max_length=GREETING_CHARS_MAX,
        description="Said in place of the persona's own greeting.",
    )
    properties: ConversationProperties = Field(default_factory=ConversationProperties)


class CreatedConversation(View):
    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "conversation_id": _EXAMPLE_CONVERSATION,
                    "status": "requested",
                    "persona_id": _EXAMPLE_PERSONA,
                    "persona_revision": 1,
                    "created_at": _EXAMPLE_TIME,
                    "join_token": _EXAMPLE_TOKEN,
                    "join_token_expires_at": "2026-03-02T09:31:00Z",
                    "conversation_url": f"http://127.0.0.1:8460/#conversation={_EXAMPLE_CONVERSATION}"
                    f"&token={_EXAMPLE_TOKEN}",
                }
            ]
        },
    )

    conversation_id: ConversationId
    status: Status
    persona_id: PersonaId
    persona_revision: int
    created_at: datetime
    join_token: str
    join_token_expires_at: datetime
    conversation_url: str


class SealView(View):
    """How the record was closed."""

    count: int
    headers_sha256: str
    capture: Literal["complete", "incomplete"]
    gaps: list[str]


class ConversationView(View):
    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "conversation_id": _EXAMPLE_CONVERSATION,
                    "status": "sealed",
                    "persona_id": _EXAMPLE_PERSONA,
                    "persona_revision": 1,
                    "created_at": _EXAMPLE_TIME,
                    "started_at": "2026-03-02T09:30:04Z",
                    "ended_at": "2026-03-02T09:33:40Z",
                    "end_reason": "participant_hung_up",
                    "version": 96,
                    "epoch": 2,
                    "sealed": {
                        "count": 95,
                        "headers_sha256": _EXAMPLE_SHA,
                        "capture": "complete",
                        "gaps": [],
                    },
                }
            ]
        },
    )

    conversation_id: ConversationId
    status: Status
    persona_id: PersonaId
    persona_revision: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    end_reason: EndReason | None
    version: int
    epoch: int
    sealed: SealView | None


class ConversationPage(View):
    conversations: list[ConversationView]
    next_cursor: str | None


class EventPage(View):
    """`next_after` is given back as `after` for the next page. An empty page: there is no more yet."""

    events: list[EventView]
    next_after: int


class Ending(View):
    conversation_id: ConversationId
    status: Status


class PageQuery(Frozen):
    limit: int = Field(default=PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(default=None, max_length=CURSOR_CHARS_MAX)


class ConversationQuery(PageQuery):
    status: Status | None = None


class EventQuery(Frozen):
    after: int = Field(default=0, ge=0, le=2**53, description="Events with a higher version, in order.")
    limit: int = Field(default=EVENTS_PAGE_DEFAULT, ge=1, le=EVENTS_PAGE_MAX)


# --- participants ------------------------------------------------------------------------------------
class JoinTokenView(View):
    """Works once, and not after `expires_at`."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={"examples": [{"join_token": _EXAMPLE_TOKEN, "expires_at": _EXAMPLE_TIME}]},
    )

    join_token: str
    expires_at: datetime


class Join(Frozen):
    model_config = ConfigDict(json_schema_extra={"examples": [{"join_token": _EXAMPLE_TOKEN}]})

    join_token: str = Field(min_length=1, max_length=TOKEN_CHARS_MAX)


class IceServerView(View):
    urls: list[str]
    username: str | None = None
    credential: str | None = None


class Joined(View):
    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "participant_id": "3d0a3c7e-5c8b-4a55-b0d6-6a3c7f1b2e90",
                    "resume_credential": "vvr_Yk2m6r1K0c3y5Qw8eXa9tS",
                    "ice_servers": [],
                }
            ]
        },
    )

    participant_id: ParticipantId
    resume_credential: str
    ice_servers: list[IceServerView]


class OfferBody(Frozen):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"type": "offer", "sdp": "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n"}]}
    )

    type: Literal["offer"]
    sdp: str = Field(min_length=1, max_length=SDP_CHARS_MAX)


class AnswerBody(View):
    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={"examples": [{"type": "answer", "sdp": "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n"}]},
    )

    type: Literal["answer"] = "answer"
    sdp: str


class Leaving(View):
    conversation_id: ConversationId
    participant_id: ParticipantId


# --- health ------------------------------------------------------------------------------------------
class Health(View):
    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"status": "live"}]})

    status: Literal["live", "ready"]
