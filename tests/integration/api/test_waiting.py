"""What a participant and a program are told while no media worker has a place, beside real workflows."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import httpx

from domain.ids import ConversationId
from tests.fakes.api import FakeMedia
from tests.fakes.media_host import FakeMediaHost
from tests.integration.api.expectations import assert_problem
from tests.temporal_fixtures import World, eventually

# What is promised to who asks while all workers are full.
ANSWERED_S_MAX = 1.0
OFFER = {"type": "offer", "sdp": "v=0\r\n"}


async def test_while_all_workers_are_full_an_offer_is_put_off_at_once_and_the_events_say_why(
    anyone: httpx.AsyncClient,
    program: httpx.AsyncClient,
    conversation: dict[str, Any],
    running: World,
    host: FakeMediaHost,
    media: FakeMedia,
) -> None:
    # Given a participant of a conversation that waits, since the only worker is full
    host.places, host.address = 0, FakeMedia.ADDRESS
    conversation_id = ConversationId(UUID(conversation["conversation_id"]))
    path = f"/v1/conversations/{conversation_id}"
    running.begun.append(conversation_id)
    await running.start_workflow(conversation_id)
    joined = (await anyone.post(f"{path}/join", json={"join_token": conversation["join_token"]})).json()
    bearer = {"Authorization": f"Bearer {joined['resume_credential']}"}

    async def waits() -> list[dict[str, Any]]:
        events = (await program.get(f"{path}/events")).json()["events"]
        return [event for event in events if event["type"] == "media.unavailable"]

    await eventually(waits)

    # When they offer
    async with asyncio.timeout(ANSWERED_S_MAX):
        put_off = await anyone.post(f"{path}/offer", json=OFFER, headers=bearer)

    # Then they are asked to come again, no worker was bothered, and the events say why
    assert_problem(put_off, 503, "no_media_worker")
    assert put_off.headers["retry-after"] == "1"
    assert media.offers == 0
    [event] = await waits()
    assert (event["payload"]["reason"], event["classification"]) == ("all_workers_full", "public")
    assert event["causation_id"] == (await program.get(f"{path}/events")).json()["events"][0]["event_id"]

    # And once there is a place, the same participant is connected
    media.sessions[conversation_id] = None
    host.places = 1
    await running.session(host, conversation_id)
    answered = await anyone.post(f"{path}/offer", json=OFFER, headers=bearer)
    assert answered.status_code == 200
    assert media.offers == 1
