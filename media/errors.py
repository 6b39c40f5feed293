"""What can go wrong in a live session."""

from __future__ import annotations

from domain.errors import InvalidInput, NotFound, RuleBroken, Unavailable, VivavoceError


class MediaError(VivavoceError):
    """The root of the real-time loop's errors."""

    code = "media"


class RecordBacklogFull(MediaError):
    """The store has been away for so long that no more facts can be kept: the session must end."""

    code = "record_backlog_full"

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} events wait for the store, which is as many as may")
        self.waiting = waiting


class NoSession(MediaError, NotFound):
    """This worker does not carry the conversation."""

    code = "no_session"


class NoPlace(MediaError, Unavailable):
    """The worker carries as many sessions as it may, or keeps its places for others."""

    code = "no_place"


class AnotherParticipant(MediaError, RuleBroken):
    """The conversation has its participant already."""

    code = "another_participant"


class TooManyOffers(MediaError, Unavailable):
    """More connections of one session are being made than may."""

    code = "too_many_offers"


class BadOffer(MediaError, InvalidInput):
    """The offer is no SDP that this worker can answer."""

    code = "bad_offer"
