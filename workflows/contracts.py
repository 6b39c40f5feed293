"""What crosses the border between workflows and everything else: one input model, one result model and one
typed stub per activity, and the names they are called by. Ids, versions, counts, codes, digests and times
only; a text, a name or a face has no field here."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from temporalio import activity
from temporalio.common import RetryPolicy

from domain.conversation.actions import (
    LostReason,
)
from domain.conversation.lifecycle import (
    Lifecycle,
    LoggedConversation,
)
from domain.conversation.occurrences import (
    DrainReport,
    SessionOutcome,
)
from domain.conversation.state import Status
from domain.events.catalogue import EndReason, UnavailableReason
from domain.events.payload import Frozen
from domain.ids import ConversationId, EventId, TenantId, WorkerId
from domain.ports import Fact

# Stands in every history beside the task it decided; the same as the version of the package.
RELEASE = "0.1.0"

# --- names --------------------------------------------------------------------------------------------
CONVERSATION_WORKFLOW = "ConversationWorkflow"
MEDIA_SESSION_WORKFLOW = "MediaSessionWorkflow"
WORKFLOW_QUEUE = "vivavoce-workflows"
# Every media worker polls it; a claim that is taken from it finds the worker for a session.
MEDIA_QUEUE = "vivavoce-media"

SIGNAL_FACTS = "media_facts"
SIGNAL_ASSIGNED = "media_session_assigned"
SIGNAL_ENDED = "media_session_ended"
SIGNAL_DRAIN = "drain"
UPDATE_END = "end_conversation"
QUERY_STATUS = "status"

# --- bounds -------------------------------------------------------------------------------------------
# Messages after which a workflow continues as new, unless the server suggests it earlier.
CONTINUE_AFTER_MESSAGES = 1000
# A workflow task that a killed process had just been given comes to another one after this; the default of
# ten seconds is longer than a call should do without its workflow.
WORKFLOW_TASK_TIMEOUT = timedelta(seconds=5)
# A claim that no worker with a place took for so long goes on the record, and goes on.
UNAVAILABLE_AFTER = timedelta(seconds=1)
# How long that record is tried before the next claim; below the time that a conversation gives its session to
# drain, so that an end does not find the session busy.
UNAVAILABLE_APPEND_TIMEOUT = timedelta(seconds=3)
# A worker that is not heard from for so long has lost its session.
HEARTBEAT_TIMEOUT = timedelta(seconds=3)
# A worker that was just claimed polls its own queue; one that does not take the work up has died since.
OWN_QUEUE_TIMEOUT = timedelta(seconds=3)
CLAIM_ATTEMPT_TIMEOUT = timedelta(seconds=2)
APPEND_ATTEMPT_TIMEOUT = timedelta(seconds=5)
# How long an append of the workflow is tried; a workflow that fails after that is begun anew by the sweep.
APPEND_TIMEOUT = timedelta(minutes=10)
# Reading a long stream from its start takes longer than an append does.
SEAL_ATTEMPT_TIMEOUT = timedelta(seconds=60)
SEAL_TIMEOUT = timedelta(minutes=30)
# What a session may take beyond every timer of its conversation, before it is ended from outside.
SESSION_SLACK = timedelta(seconds=120)

APPEND_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100), backoff_coefficient=2, maximum_interval=timedelta(seconds=2)
)
CLAIM_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=1.5,
    maximum_interval=timedelta(seconds=2),
)
ONE_ATTEMPT = RetryPolicy(maximum_attempts=1)

# The code of a claim that found every place of the worker taken: another attempt may meet another worker.
NO_VACANCY = "no_vacancy"


# --- the conversation workflow ------------------------------------------------------------------------
class ConversationInput(Frozen):
    """Everything else stands in the log. `carried` is the state of the run that continued as new."""

    tenant_id: TenantId
    conversation_id: ConversationId
    continue_after_messages: int = CONTINUE_AFTER_MESSAGES
    carried: Lifecycle | None = None


class ConversationOutcome(Frozen):
    status: Status
    end_reason: EndReason | None
    epoch: int


class MediaFacts(Frozen):
    """One batch. A publisher numbers its batches from 1 and sends a batch again under its number."""

    epoch: int
    publisher: UUID
    sequence: int
    facts: tuple[Fact, ...]


class MediaSessionAssigned(Frozen):
    epoch: int
    worker_id: WorkerId
    event_id: EventId


class MediaSessionEnded(Frozen):
    """`undelivered` are batches that the session could not hand over itself."""

    epoch: int
    outcome: SessionOutcome
    report: DrainReport | None = None
    undelivered: tuple[MediaFacts, ...] = ()


class EndConversation(Frozen):
    """The same command id again is the same command again. `asked_by` is the id of the API key of the program
    that asks; commands of an earlier release do not say."""

    command_id: UUID
    reason: EndReason = EndReason.REQUESTED
    asked_by: UUID | None = None


class ConversationStatus(Frozen):
    status: Status
    epoch: int
    connected: bool
    end_reason: EndReason | None
    media_sessions: int


# --- the media session workflow -----------------------------------------------------------------------
class MediaSessionInput(Frozen):
    """`lasts_at_most` ends a session that nobody ended."""

    tenant_id: TenantId
    conversation_id: ConversationId
    epoch: int
    claim_until: datetime
    lasts_at_most: timedelta
    cause: EventId | None


# --- activities ---------------------------------------------------------------------------------------
class LoadConversation(Frozen):
    tenant_id: TenantId
    conversation_id: ConversationId


class AppendStarted(Frozen):
    tenant_id: TenantId
    conversation_id: ConversationId
    epoch: int
    event_id: EventId
    occurred_at: datetime
    cause: EventId | None


class AppendLost(Frozen):
    tenant_id: TenantId
    conversation_id: ConversationId
    epoch: int
    event_id: EventId
    occurred_at: datetime
    cause: EventId | None
    worker_id: WorkerId
    reason: LostReason


class AppendUnavailable(Frozen):
    tenant_id: TenantId
    conversation_id: ConversationId
    epoch: int
    event_id: EventId
    occurred_at: datetime
    cause: EventId | None
    reason: UnavailableReason
    waited_ms: int


class AppendAssigned(Frozen):
    """The worker appends it itself, since its address is its own to tell."""

    tenant_id: TenantId
    conversation_id: ConversationId
    epoch: int
    event_id: EventId
    occurred_at: datetime
    cause: EventId | None


class SealConversation(Frozen):
    """`last_version` is None when no session reported that it had written everything; `asked_by` where no
    program asked for the end."""

    tenant_id: TenantId
    conversation_id: ConversationId
    epoch: int
    reason: EndReason
    ended_event_id: EventId
    sealed_event_id: EventId
    occurred_at: datetime
    cause: EventId | None
    last_version: int | None
    gaps: tuple[str, ...]
    asked_by: UUID | None = None


class Stored(Frozen):
    version: int


class Sealed(Frozen):
    """`version` is that of the seal itself."""

    version: int
    count: int
    headers_sha256: str
    complete: bool


class ClaimMediaWorker(Frozen):
    conversation_id: ConversationId


class MediaClaim(Frozen):
    """A place that is kept for a few seconds, on the worker that polls `task_queue`."""

    worker_id: WorkerId
    task_queue: str


class RunMediaSession(Frozen):
    tenant_id: TenantId
    conversation_id: ConversationId
    epoch: int


class MediaSessionResult(Frozen):
    outcome: SessionOutcome
    report: DrainReport
    undelivered: tuple[MediaFacts, ...] = ()


@activity.defn
async def load_conversation(request: LoadConversation) -> LoggedConversation:
    """Folds the log. Fails with `not_found` for a conversation that was never requested."""
    raise NotImplementedError


@activity.defn
async def append_started(request: AppendStarted) -> Stored:
    raise NotImplementedError


@activity.defn
async def append_media_lost(request: AppendLost) -> Stored:
    raise NotImplementedError


@activity.defn
async def append_media_unavailable(request: AppendUnavailable) -> Stored:
    raise NotImplementedError


@activity.defn
async def seal_conversation(request: SealConversation) -> Sealed:
    """Ends and seals. A conversation that is sealed already answers with its seal."""
    raise NotImplementedError


@activity.defn
async def claim_media_worker(request: ClaimMediaWorker) -> MediaClaim:
    """Fails with NO_VACANCY, to be tried again, when the worker that took it has no place."""
    raise NotImplementedError


@activity.defn
async def append_media_assigned(request: AppendAssigned) -> Stored:
    """On the claimed worker's own queue."""
    raise NotImplementedError


@activity.defn
async def run_media_session(request: RunMediaSession) -> MediaSessionResult:
    """On the claimed worker's own queue. Cancelling it drains the session, and the result still comes."""
    raise NotImplementedError
