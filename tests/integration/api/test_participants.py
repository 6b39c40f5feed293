"""Joining, offering and leaving, on a real Postgres and beside a media worker that a test steers."""

from __future__ import annotations

import dataclasses
import socket
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from domain.ice import IceServer
from domain.ids import ConversationId, TenantId
from ops.api.app import create_app
from ops.api.media_control import HttpMediaControl, control_client
from ops.api.models import SDP_CHARS_MAX
from ops.api.services import Services
from ops.media_hosts import MediaHosts
from tests.api_fixtures import PUBLIC_URL
from tests.fakes.api import FakeMedia
from tests.fakes.conversation_log import Log
from tests.integration.api.expectations import assert_problem

OFFER = {"type": "offer", "sdp": "v=0\r\n"}


@pytest.fixture
async def joined(anyone: httpx.AsyncClient, conversation: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = (
        await anyone.post(_path(conversation, "join"), json={"join_token": conversation["join_token"]})
    ).json()
    return answer


@pytest.fixture
async def live(conversation: dict[str, Any], conversation_log: Log, media: FakeMedia) -> ConversationId:
    """The conversation is assigned, and its session is there."""
    conversation_id = ConversationId(UUID(conversation["conversation_id"]))
    await conversation_log.assign(str(conversation_id))
    media.sessions[conversation_id] = None
    return conversation_id


def _path(conversation: dict[str, Any], name: str) -> str:
    return f"/v1/conversations/{conversation['conversation_id']}/{name}"


def _bearer(joined: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {joined['resume_credential']}"}


async def test_a_join_token_works_once(
    anyone: httpx.AsyncClient, conversation: dict[str, Any], joined: dict[str, Any]
) -> None:
    again = await anyone.post(_path(conversation, "join"), json={"join_token": conversation["join_token"]})

    assert set(joined) == {"participant_id", "resume_credential", "ice_servers"}
    assert_problem(again, 409, "join_token_used")


async def test_a_join_tells_the_browser_which_servers_find_it_a_way(
    services: Services, conversation: dict[str, Any]
) -> None:
    # Given an installation with a STUN server and a TURN server
    servers = (
        IceServer(urls=("stun:stun.example.org",)),
        IceServer(urls=("turns:turn.example.org",), username="u", credential=SecretStr("c")),
    )
    app = create_app(dataclasses.replace(services, ice_servers=servers))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as browser:
        # When somebody joins
        answer = await browser.post(
            _path(conversation, "join"), json={"join_token": conversation["join_token"]}
        )

    # Then they get what RTCPeerConnection takes: a username that is null would be the word "null" there
    assert answer.json()["ice_servers"] == [
        {"urls": ["stun:stun.example.org"]},
        {"urls": ["turns:turn.example.org"], "username": "u", "credential": "c"},
    ]


async def test_joining_writes_nothing_to_the_log(
    program: httpx.AsyncClient, conversation: dict[str, Any], joined: dict[str, Any]
) -> None:
    events = (await program.get(_path(conversation, "events"))).json()["events"]

    assert joined["participant_id"]
    assert [event["type"] for event in events] == ["conversation.requested"]


async def test_a_late_token_is_gone(
    anyone: httpx.AsyncClient, conversation: dict[str, Any], services: Services, tenant_id: TenantId
) -> None:
    late = await services.access.issue_join_token(
        tenant_id,
        ConversationId(UUID(conversation["conversation_id"])),
        lifetime=timedelta(seconds=-1),
    )

    response = await anyone.post(_path(conversation, "join"), json={"join_token": late.token})

    assert_problem(response, 410, "join_token_expired")


async def test_an_unknown_token_is_not_found(anyone: httpx.AsyncClient, conversation: dict[str, Any]) -> None:
    response = await anyone.post(_path(conversation, "join"), json={"join_token": "guessed"})

    assert_problem(response, 404, "join_token_unknown")


async def test_a_second_participant_is_refused_with_a_sentence(
    anyone: httpx.AsyncClient,
    program: httpx.AsyncClient,
    conversation: dict[str, Any],
    joined: dict[str, Any],
) -> None:
    second = (await program.post(_path(conversation, "join-tokens"))).json()

    response = await anyone.post(_path(conversation, "join"), json={"join_token": second["join_token"]})

    problem = assert_problem(response, 409, "another_participant")
    assert "room for one" in problem["detail"]
    assert joined["participant_id"] not in response.text


async def test_a_token_of_another_conversation_does_not_open_this_one(
    anyone: httpx.AsyncClient, program: httpx.AsyncClient, conversation: dict[str, Any]
) -> None:
    other = (await program.post("/v1/conversations", json={"persona_id": conversation["persona_id"]})).json()

    response = await anyone.post(_path(conversation, "join"), json={"join_token": other["join_token"]})

    assert_problem(response, 404, "join_token_unknown")
    own = await anyone.post(_path(conversation, "join"), json={"join_token": conversation["join_token"]})
    assert own.status_code == 200
    others = await anyone.post(_path(other, "join"), json={"join_token": other["join_token"]})
    assert others.status_code == 200, "neither the token nor the place of the other conversation is taken"


async def test_an_offer_is_forwarded_to_the_assigned_worker(
    anyone: httpx.AsyncClient, conversation: dict[str, Any], joined: dict[str, Any], live: ConversationId
) -> None:
    response = await anyone.post(_path(conversation, "offer"), json=OFFER, headers=_bearer(joined))

    assert response.status_code == 200
    assert response.json() == {"type": "answer", "sdp": f"v=0 answer to {joined['participant_id']}"}


async def test_the_credential_works_for_every_connection_of_the_call(
    anyone: httpx.AsyncClient, conversation: dict[str, Any], joined: dict[str, Any], live: ConversationId
) -> None:
    for _ in range(3):
        response = await anyone.post(_path(conversation, "offer"), json=OFFER, headers=_bearer(joined))
        assert response.status_code == 200


async def test_an_offer_before_any_assignment_is_asked_to_come_again(
    anyone: httpx.AsyncClient, conversation: dict[str, Any], joined: dict[str, Any]
) -> None:
    response = await anyone.post(_path(conversation, "offer"), json=OFFER, headers=_bearer(joined))

    assert_problem(response, 503, "no_media_worker")
    assert response.headers["retry-after"] == "1"


async def test_an_offer_before_the_session_is_there_is_asked_to_come_again(
    anyone: httpx.AsyncClient, conversation: dict[str, Any], joined: dict[str, Any], conversation_log: Log
) -> None:
    await conversation_log.assign(conversation["conversation_id"])

    response = await anyone.post(_path(conversation, "offer"), json=OFFER, headers=_bearer(joined))

    assert_problem(response, 503, "no_media_worker")
    assert response.headers["retry-after"] == "1"


async def test_an_offer_goes_to_the_newest_worker(
    anyone: httpx.AsyncClient,
    conversation: dict[str, Any],
    joined: dict[str, Any],
    conversation_log: Log,
    media: FakeMedia,
) -> None:
    await conversation_log.assign(conversation["conversation_id"], address="http://gone.test")
    await conversation_log.assign(conversation["conversation_id"], epoch=2)
    media.sessions[ConversationId(UUID(conversation["conversation_id"]))] = None

    response = await anyone.post(_path(conversation, "offer"), json=OFFER, headers=_bearer(joined))

    assert response.status_code == 200


async def test_an_offer_to_a_host_that_is_no_media_workers_is_refused_and_sent_nowhere(
    services: Services, conversation: dict[str, Any], joined: dict[str, Any], conversation_log: Log
) -> None:
    # Given an address in the log that is not of this installation, where somebody listens
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        somebody.setblocking(False)
        await conversation_log.assign(
            conversation["conversation_id"], address=f"http://127.0.0.1:{somebody.getsockname()[1]}"
        )
        async with control_client() as client:
            control = HttpMediaControl(client, control_secret="s3cret", hosts=MediaHosts.parse("10.0.0.0/8"))
            app = create_app(dataclasses.replace(services, media=control))
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as api:
                # When the participant offers and leaves
                with capture_logs() as logs:
                    offered = await api.post(
                        _path(conversation, "offer"), json=OFFER, headers=_bearer(joined)
                    )
                left = await api.post(_path(conversation, "leave"), headers=_bearer(joined))

        # Then nobody connected, the log says why, and leaving works
        with pytest.raises(BlockingIOError):
            somebody.accept()
    assert_problem(offered, 503, "media_address_refused")
    assert "127.0.0.1" not in offered.text
    [told] = [line for line in logs if line["event"] == "media_control.address_refused"]
    assert (told["reason"], told["conversation_id"]) == ("host_not_allowed", conversation["conversation_id"])
    assert left.status_code == 202


async def test_a_silent_worker_is_unavailable(
    anyone: httpx.AsyncClient,
    conversation: dict[str, Any],
    joined: dict[str, Any],
    live: ConversationId,
    media: FakeMedia,
) -> None:
    media.down = True

    response = await anyone.post(_path(conversation, "offer"), json=OFFER, headers=_bearer(joined))

    assert_problem(response, 503, "media_worker_unavailable")
    assert response.headers["retry-after"] == "1"


async def test_an_offer_to_an_ended_conversation_is_refused(
    anyone: httpx.AsyncClient,
    program: httpx.AsyncClient,
    conversation: dict[str, Any],
    joined: dict[str, Any],
    conversation_log: Log,
) -> None:
    await conversation_log.end(conversation["conversation_id"])

    offered = await anyone.post(_path(conversation, "offer"), json=OFFER, headers=_bearer(joined))
    token = await program.post(_path(conversation, "join-tokens"))

    assert_problem(offered, 409, "conversation_ended")
    assert_problem(token, 409, "conversation_ended")


async def test_joining_an_ended_conversation_is_refused(
    anyone: httpx.AsyncClient, conversation: dict[str, Any], conversation_log: Log
) -> None:
    await conversation_log.end(conversation["conversation_id"])

    response = await anyone.post(_path(conversation, "join"), json={"join_token": conversation["join_token"]})

    assert_problem(response, 409, "conversation_ended")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"type": "answer", "sdp": "v=0"}, "type"),
        ({"type": "offer", "sdp": ""}, "sdp"),
        ({"type": "offer", "sdp": "v=0" + "x" * SDP_CHARS_MAX}, "sdp"),
        ({**OFFER, "trickle": True}, "trickle"),
    ],
)
async def test_a_body_that_is_no_offer_is_refused(
    anyone: httpx.AsyncClient,
    conversation: dict[str, Any],
    joined: dict[str, Any],
    body: dict[str, Any],
    field: str,
) -> None:
    response = await anyone.post(_path(conversation, "offer"), json=body, headers=_bearer(joined))

    assert [each["field"] for each in assert_problem(response, 422, "invalid_input")["errors"]] == [field]


async def test_an_offer_that_the_worker_cannot_answer_is_refused(
    anyone: httpx.AsyncClient, conversation: dict[str, Any], joined: dict[str, Any], live: ConversationId
) -> None:
    response = await anyone.post(
        _path(conversation, "offer"), json={"type": "offer", "sdp": "nonsense"}, headers=_bearer(joined)
    )

    assert_problem(response, 422, "bad_offer")


async def test_a_credential_opens_no_other_conversation(
    anyone: httpx.AsyncClient,
    program: httpx.AsyncClient,
    conversation: dict[str, Any],
    joined: dict[str, Any],
) -> None:
    other = (await program.post("/v1/conversations", json={"persona_id": conversation["persona_id"]})).json()

    response = await anyone.post(_path(other, "offer"), json=OFFER, headers=_bearer(joined))

    assert_problem(response, 401, "unauthorised")


async def test_who_has_left_is_out_and_the_worker_knows(
    anyone: httpx.AsyncClient,
    conversation: dict[str, Any],
    joined: dict[str, Any],
    live: ConversationId,
    media: FakeMedia,
) -> None:
    await anyone.post(_path(conversation, "offer"), json=OFFER, headers=_bearer(joined))

    left = await anyone.post(_path(conversation, "leave"), headers=_bearer(joined))
    after = await anyone.post(_path(conversation, "offer"), json=OFFER, headers=_bearer(joined))

    assert left.status_code == 202
    assert [str(each) for each in media.left] == [joined["participant_id"]]
    assert_problem(after, 401, "unauthorised")


async def test_leaving_works_while_the_worker_is_silent(
    anyone: httpx.AsyncClient,
    conversation: dict[str, Any],
    joined: dict[str, Any],
    live: ConversationId,
    media: FakeMedia,
) -> None:
    media.down = True

    left = await anyone.post(_path(conversation, "leave"), headers=_bearer(joined))

    assert left.status_code == 202
