"""What the routes need of workflows and of media workers. Each has an implementation that is
used and one for tests."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from domain.errors import Unavailable
from domain.ids import ConversationId, ParticipantId, TenantId
from domain.ports import OfferRefused


class WorkerRefused(Exception):
    """The media worker answered, and its answer is no."""

    def __init__(self, reason: OfferRefused) -> None:
        super().__init__(f"the media worker refused the offer: {reason}")
        self.reason = reason


class WorkerUnavailable(Unavailable):
    """The media worker did not answer in time, or not as one."""

    code = "media_worker_unavailable"


class WorkerAddressRefused(WorkerUnavailable):
    """The log names a media worker on a host that is not one of this installation's."""

    code = "media_address_refused"


class WorkflowsUnavailable(Unavailable):
    """Temporal did not answer in time."""

    code = "workflows_unavailable"


class ConversationRuns(Protocol):
    """The workflows of conversations."""

    async def start(self, tenant_id: TenantId, conversation_id: ConversationId) -> None:
        """Begins the workflow; one that is there already is left alone. Raises WorkflowsUnavailable."""
        ...

    async def end(self, tenant_id: TenantId, conversation_id: ConversationId, *, asked_by: UUID) -> None:
        """Asks the workflow to end the conversation, for the program whose API key has that id.
        Raises WorkflowsUnavailable."""
        ...

    async def ready(self) -> bool: ...


class MediaControl(Protocol):
    """The control endpoint of whichever media worker an address names."""

    async def offer(
        self, address: str, conversation_id: ConversationId, participant_id: ParticipantId, sdp: str
    ) -> str:
        """The SDP of the answer. Raises WorkerRefused, WorkerUnavailable or WorkerAddressRefused."""
        ...

    async def leave(
        self, address: str, conversation_id: ConversationId, participant_id: ParticipantId
    ) -> None:
        """Raises WorkerUnavailable or WorkerAddressRefused. A session that is gone already is left."""
        ...
