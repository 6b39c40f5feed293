"""The HTTP interface, as a program outside uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from uuid import UUID

import httpx
from pydantic import BaseModel, JsonValue

from domain.ids import ConversationId, ParticipantId, PersonaId
from ops.caller.errors import CallFailed, Unavailable
from ops.event_view import EventView

REQUEST_TIMEOUT_S = 15.0
# No media worker is assigned in the first moments; the answer says when to ask again.
OFFER_WITHIN_S = 30.0
OFFER_RETRY_S = 0.25
OFFER_RETRY_MAX_S = 2.0
# What is only read is asked for again while the API or its database is starting anew.
READ_WITHIN_S = 30.0
READ_RETRY_S = 0.5
EVENTS_PAGE = 500
EVENTS_MAX = 100_000


class Invitation(BaseModel):
    """A new conversation that nobody has joined yet."""

    conversation_id: ConversationId
    join_token: str


class Membership(BaseModel):
    """Lets its holder send offers until the end of the call."""

    participant_id: ParticipantId
    resume_credential: str


class _Persona(BaseModel):
    persona_id: PersonaId


class Api:
    """One installation, seen through an API key. A refusal becomes a CallFailed with the server's words."""

    def __init__(self, url: str, key: str) -> None:
        self._client = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=REQUEST_TIMEOUT_S
        )

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def publish_persona(self, document: bytes, *, media_type: str) -> PersonaId:
        answer = await self._request(
            "POST", "/v1/personas", content=document, headers={"Content-Type": media_type}
        )
        return _Persona.model_validate(answer.json()).persona_id

    async def first_persona(self) -> PersonaId:
        """The one that the start page shows first. Raises CallFailed where there is none."""
        answer = await self._request("GET", "/v1/personas")
        personas = answer.json()["personas"]
        if not personas:
            raise CallFailed("There is no persona yet: publish one with `vivavoce persona publish FILE`.")
        return _Persona.model_validate(personas[0]).persona_id

    async def invite(self, persona_id: PersonaId) -> Invitation:
        answer = await self._request("POST", "/v1/conversations", json={"persona_id": str(persona_id)})
        return Invitation.model_validate(answer.json())

    async def join(self, invitation: Invitation) -> Membership:
        path = f"/v1/conversations/{invitation.conversation_id}/join"
        answer = await self._request("POST", path, json={"join_token": invitation.join_token})
        return Membership.model_validate(answer.json())

    async def offer(self, conversation_id: ConversationId, membership: Membership, sdp: str) -> str:
        """The answer's SDP. Asks again while no media worker is there, for OFFER_WITHIN_S."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + OFFER_WITHIN_S
        while True:
            answer = await self._send(
                "POST",
                f"/v1/conversations/{conversation_id}/offer",
                json={"sdp": sdp, "type": "offer"},
                headers={"Authorization": f"Bearer {membership.resume_credential}"},
            )
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or loop.time() > deadline_s:
                return str(_checked(answer).json()["sdp"])
            await asyncio.sleep(min(_retry_after_s(answer), OFFER_RETRY_MAX_S))

    async def leave(self, conversation_id: ConversationId, membership: Membership) -> None:
        await self._request(
            "POST",
            f"/v1/conversations/{conversation_id}/leave",
            headers={"Authorization": f"Bearer {membership.resume_credential}"},
        )

    async def status(self, conversation_id: ConversationId) -> str:
        answer = await self._read(f"/v1/conversations/{conversation_id}")
        return str(answer.json()["status"])

    async def end(self, conversation_id: ConversationId) -> None:
        await self._request("POST", f"/v1/conversations/{conversation_id}/end")

    async def events(
        self, conversation_id: ConversationId, *, within_s: float = READ_WITHIN_S
    ) -> list[EventView]:
        """All of them, in order. `within_s` bounds how long each page is asked for again.

        Raises CallFailed for more than EVENTS_MAX: a part would be taken for the whole record.
        """
        found: list[EventView] = []
        after = 0
        while True:
            answer = await self._read(
                f"/v1/conversations/{conversation_id}/events",
                params={"after": after, "limit": EVENTS_PAGE},
                within_s=within_s,
            )
            page = answer.json()
            events = [EventView.model_validate(event) for event in page["events"]]
            if not events:
                return found
            found += events
            if len(found) > EVENTS_MAX:
                raise CallFailed(
                    f"The conversation has more than {EVENTS_MAX} events, more than a call is measured by: "
                    "read them with `vivavoce conversation events`."
                )
            after = int(page["next_after"])

    async def _read(
        self, path: str, *, params: Mapping[str, int] | None = None, within_s: float = READ_WITHIN_S
    ) -> httpx.Response:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + within_s
        while True:
            try:
                return _checked(await self._send("GET", path, params=params))
            except Unavailable:
                if loop.time() >= deadline_s:
                    raise
            await asyncio.sleep(READ_RETRY_S)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        json: JsonValue = None,
        content: bytes | None = None,
        params: Mapping[str, int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        return _checked(
            await self._send(method, path, json=json, content=content, params=params, headers=headers)
        )

    async def _send(
        self,
        method: str,
        path: str,
        *,
        json: JsonValue = None,
        content: bytes | None = None,
        params: Mapping[str, int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        try:
            return await self._client.request(
                method, path, json=json, content=content, params=params, headers=headers
            )
        except httpx.HTTPError as error:
            raise Unavailable(
                f"{self._client.base_url} does not answer ({type(error).__name__}): see `vivavoce status`."
            ) from error


def conversation_id(text: str) -> ConversationId:
    """Raises CallFailed for what is no id."""
    try:
        return ConversationId(UUID(text))
    except ValueError:
        raise CallFailed(f"{text} is no conversation id: see `vivavoce conversation list`.") from None


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = answer.text[:200] or answer.reason_phrase
    passing = answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS
    failure = Unavailable if passing else CallFailed
    raise failure(f"{answer.request.method} {answer.request.url.path} was refused: {detail}")


def _retry_after_s(answer: httpx.Response) -> float:
    try:
        return float(answer.headers.get("Retry-After", OFFER_RETRY_S))
    except ValueError:
        return OFFER_RETRY_S
