"""The start page in a real browser: choosing, talking, and reading what stands in the record."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from playwright.async_api import Page, expect

from domain.events.catalogue import (
    ConversationEnded,
    ConversationSealed,
    ConversationStarted,
    EndReason,
    SentenceCommitted,
    SentenceInterrupted,
    SentenceKind,
    SentencePlayed,
    UtteranceTranscribed,
)
from domain.ids import ReplyId, SentenceId, TurnId, UtteranceId
from domain.mind.emotion import Emotion
from tests.api_fixtures import PERSONA
from tests.e2e.chromium import MICROPHONE_ALLOWED
from tests.e2e.page.conftest import OpenBrowser, StartCall
from tests.e2e.page.worker import ADDRESS, PageWorker
from tests.fakes.conversation_log import Log

SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


@pytest.fixture
async def page(open_browser: OpenBrowser) -> Page:
    browser = await open_browser(MICROPHONE_ALLOWED)
    return await (await browser.new_context()).new_page()


async def test_the_key_leaves_the_address_bar_and_the_personas_are_there(
    page: Page, address: str, api_key: str, program: httpx.AsyncClient, persona_id: UUID
) -> None:
    await program.post("/v1/personas", json={**PERSONA, "name": "Jonas", "documents": []})

    await page.goto(f"{address}/#key={api_key}")

    await expect(page.get_by_role("radio", name="Ada Answers from: Claims guide.")).to_be_visible()
    await expect(page.get_by_role("radio", name="Jonas Has no documents of its own.")).to_be_checked()
    assert api_key not in page.url
    stored = (
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, document.body.innerHTML])"
    )
    assert api_key not in await page.evaluate(stored)


async def test_a_wrong_key_is_said_and_the_right_one_can_be_entered(
    page: Page, address: str, api_key: str, persona_id: UUID
) -> None:
    await page.goto(f"{address}/#key=vv_wrong")
    await expect(page.get_by_role("alert")).to_have_text("This API key is not known, or it was withdrawn.")

    await page.get_by_label("API key").fill(api_key)
    await page.get_by_label("API key").press("Enter")

    await expect(page.get_by_role("radio")).to_have_count(1)
    await expect(page.get_by_role("alert")).to_be_hidden()


async def test_without_a_key_the_page_says_where_one_is(page: Page, address: str) -> None:
    await page.goto(address)

    await expect(page.get_by_text("Open that link again, or enter a key here.")).to_be_visible()


async def test_without_a_persona_the_page_says_how_to_publish_one(
    page: Page, address: str, api_key: str
) -> None:
    await page.goto(f"{address}/#key={api_key}")

    await expect(page.get_by_role("alert")).to_contain_text("vivavoce persona publish FILE")
    await expect(page.get_by_role("button", name="Start a conversation")).to_be_disabled()


async def test_a_call_that_was_started_with_the_keyboard_has_the_focus(
    page: Page, address: str, api_key: str, persona_id: UUID, worker: PageWorker
) -> None:
    await page.goto(f"{address}/#key={api_key}")
    await page.get_by_role("button", name="Start a conversation").press("Enter")

    await expect(page.get_by_role("region", name="Conversation", exact=True)).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Mute")).to_be_focused()


async def test_after_the_call_the_page_shows_what_stands_in_the_record(
    page: Page, address: str, api_key: str, persona_id: UUID, worker: PageWorker, conversation_log: Log
) -> None:
    await page.goto(f"{address}/#key={api_key}")
    async with page.expect_response("**/v1/conversations") as created:
        await page.get_by_role("button", name="Start a conversation").click()
    conversation_id = (await (await created.value).json())["conversation_id"]
    await conversation_log.assign(conversation_id, address=ADDRESS)
    await worker.connected()
    await _converse(conversation_log, conversation_id)

    await page.get_by_role("button", name="Hang up").click()
    await _seal(conversation_log, conversation_id)

    record = page.get_by_role("region", name="What stands in the record")
    await expect(record).to_contain_text("Its record is closed and takes nothing more.", timeout=10_000)
    await expect(record.get_by_role("definition")).to_have_text(
        ["Sealed, complete", "0 s", "You hung up", "10", conversation_id, SHA]
    )
    lines = record.get_by_role("listitem")
    await expect(lines.locator("p")).to_have_text(
        [
            "You are speaking with an AI.",
            "How long do I have? (typed)",
            "You have three days, counted from today. (not spoken)",
        ]
    )
    await expect(lines.locator("s")).to_have_text(["days, counted from today."])
    await record.get_by_role("button", name="New conversation").click()
    await expect(page.get_by_role("button", name="Start a conversation")).to_be_enabled()


async def test_waiting_for_a_line_ends_with_a_sentence(start_call: StartCall, worker: PageWorker) -> None:
    worker.full = True
    call = await start_call()
    await expect(call.page.get_by_role("status")).to_have_text("Waiting for a free line…")

    # The bound is three minutes of the page's own clock.
    await call.page.evaluate(
        "{ const now = performance.now.bind(performance); performance.now = () => now() + 181_000; }"
    )

    await expect(call.page.get_by_role("status")).to_contain_text("No line became free.")
    await expect(call.page.locator("vivavoce-call")).to_have_attribute("state", "ended")


async def test_a_service_that_does_not_come_back_ends_with_a_sentence(start_call: StartCall) -> None:
    call = await start_call()
    peer = await call.connected()
    await call.page.context.set_offline(True)
    await peer.drop()
    await expect(call.page.get_by_role("status")).to_contain_text("This device is offline.")

    await call.page.evaluate(
        "{ const now = performance.now.bind(performance); performance.now = () => now() + 91_000; }"
    )

    await expect(call.page.get_by_role("status")).to_contain_text(
        "The connection could not be restored.", timeout=10_000
    )


async def test_a_device_that_is_online_again_is_connected_at_once(start_call: StartCall) -> None:
    call = await start_call()
    peer = await call.connected()
    await call.page.context.set_offline(True)
    await peer.drop()
    await expect(call.page.get_by_role("status")).to_contain_text("This device is offline.")

    await call.page.context.set_offline(False)

    second = await call.connected(2)
    await second.tell(type="state", state="listening", reason=None)
    await expect(call.page.get_by_role("status")).to_have_text("Listening")


async def _converse(log: Log, conversation_id: str) -> None:
    turn, reply = TurnId(uuid4()), ReplyId(uuid4())

    def sentence(text: str, kind: SentenceKind) -> SentenceCommitted:
        return SentenceCommitted(
            sentence_id=SentenceId(uuid4()),
            reply_id=reply,
            turn_id=turn,
            index=0,
            kind=kind,
            text=text,
            emotion=Emotion.NEUTRAL,
        )

    disclosure = sentence("You are speaking with an AI.", SentenceKind.DISCLOSURE)
    answer = sentence("You have three days, counted from today.", SentenceKind.ANSWER)
    payloads: list[Any] = [
        ConversationStarted(),
        disclosure,
        SentencePlayed(sentence_id=disclosure.sentence_id, started_media_ms=0, played_ms=1200),
        UtteranceTranscribed(
            utterance_id=UtteranceId(uuid4()),
            turn_id=turn,
            text="How long do I have?",
            words=(),
            times="none",
            recogniser="none",
            source="text",
            started_media_ms=2000,
            ended_media_ms=2000,
        ),
        answer,
        SentenceInterrupted(
            sentence_id=answer.sentence_id,
            started_media_ms=3000,
            played_ms=700,
            played_text="You have three",
            cause="barge_in",
        ),
    ]
    for payload in payloads:
        await log.append(conversation_id, payload, epoch=1)


async def _seal(log: Log, conversation_id: str) -> None:
    await log.append(conversation_id, ConversationEnded(reason=EndReason.PARTICIPANT_HUNG_UP), epoch=2)
    await log.append(
        conversation_id, ConversationSealed(count=9, headers_sha256=SHA, capture="complete"), epoch=2
    )
