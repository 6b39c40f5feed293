"""Offers and leave-takings, forwarded to the media worker that a conversation is assigned to."""

from __future__ import annotations

import httpx
import structlog

from domain.ids import ConversationId, ParticipantId
from domain.ports import OfferRefused
from ops.api.ports import WorkerAddressRefused, WorkerRefused, WorkerUnavailable
from ops.media_hosts import MediaHosts

# The worker gathers its candidates and makes its answer within this, or the page asks again.
# A worker waits five seconds for a STUN or TURN server that does not answer, and then does without.
FORWARD_S_MAX = 8.0
CONNECT_S_MAX = 1.0
CONNECTIONS_MAX = 64
ANSWER_BYTES_MAX = 128 * 1024

log = structlog.stdlib.get_logger("vivavoce.api")


def control_client() -> httpx.AsyncClient:
    """A client with every wait bounded; close it when the process ends."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(FORWARD_S_MAX, connect=CONNECT_S_MAX, pool=CONNECT_S_MAX),
        limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=8),
        # Addresses are inside the installation, whatever proxy the environment names for the outside.
        trust_env=False,
        # Another host than the one that was asked for has not been looked at.
        follow_redirects=False,
    )


class HttpMediaControl:
    """The `MediaControl` port. Sends to `hosts` only: addresses come out of the log, and whoever can write
    there must not learn the secret, nor reach what only this process can."""

    def __init__(self, client: httpx.AsyncClient, *, control_secret: str, hosts: MediaHosts) -> None:
        self._client, self._hosts = client, hosts
        self._headers = {"Authorization": f"Bearer {control_secret}"}

    async def offer(
        self, address: str, conversation_id: ConversationId, participant_id: ParticipantId, sdp: str
    ) -> str:
        response = await self._post(
            address, conversation_id, "offer", {"participant_id": str(participant_id), "sdp": sdp}
        )
        match response.status_code:
            case 200:
                return _sdp_of(response)
            case 404:
                raise WorkerRefused(OfferRefused.NO_SESSION)
            case 409:
                raise WorkerRefused(OfferRefused.ANOTHER_PARTICIPANT)
            case 422:
                raise WorkerRefused(OfferRefused.BAD_OFFER)
            case _:
                raise self._odd(response)

    async def leave(
        self, address: str, conversation_id: ConversationId, participant_id: ParticipantId
    ) -> None:
        response = await self._post(
            address, conversation_id, "leave", {"participant_id": str(participant_id)}
        )
        if response.status_code not in (200, 202, 404):
            raise self._odd(response)

    async def _post(
        self, address: str, conversation_id: ConversationId, what: str, body: dict[str, str]
    ) -> httpx.Response:
        refusal = self._hosts.refusal(address)
        if refusal is not None:
            log.error(
                "media_control.address_refused", reason=refusal.value, conversation_id=str(conversation_id)
            )
            raise WorkerAddressRefused(
                "the media worker of this conversation is not one that this installation sends offers to;"
                " whoever runs it finds the reason in the log of the API"
            )
        url = f"{address}/sessions/{conversation_id}/{what}"
        try:
            return await self._client.post(url, json=body, headers=self._headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.warning("media_control.no_answer", error=type(error).__name__)
            raise WorkerUnavailable("the media worker did not answer in time; try again soon") from error

    def _odd(self, response: httpx.Response) -> WorkerUnavailable:
        log.warning("media_control.odd_answer", status=response.status_code)
        return WorkerUnavailable("The media worker could not take the request; try again in a moment.")


def _sdp_of(response: httpx.Response) -> str:
    try:
        sdp = response.json()["sdp"]
    except (ValueError, KeyError, TypeError) as error:
        raise WorkerUnavailable("The media worker answered with something that is no answer.") from error
    if not isinstance(sdp, str) or len(sdp) > ANSWER_BYTES_MAX:
        raise WorkerUnavailable("The media worker answered with something that is no answer.")
    return sdp
