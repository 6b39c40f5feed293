"""A real API over a real Postgres, a real browser, and a worker that does what a test wants."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Playwright, async_playwright

from ops.api.app import create_app
from ops.api.services import Services
from ops.processes.api import serve
from tests.api_fixtures import (
    api_key,
    conversation,
    conversation_log,
    media,
    persona_id,
    program,
    runs,
    services,
)
from tests.e2e.chromium import MICROPHONE_ALLOWED, QUIET, chromium_path
from tests.e2e.page.worker import ADDRESS, PagePeer, PageWorker
from tests.fakes.conversation_log import Log

__all__ = [
    "api_key",
    "conversation",
    "conversation_log",
    "media",
    "persona_id",
    "program",
    "runs",
    "services",
]

OpenBrowser = Callable[[list[str]], Awaitable[Browser]]


@pytest.fixture
async def worker() -> AsyncIterator[PageWorker]:
    worker = PageWorker()
    yield worker
    await worker.close()


@pytest.fixture
async def address(services: Services, worker: PageWorker) -> AsyncIterator[str]:
    """Of the served API, whose offers go to `worker`."""
    stop = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_app(dataclasses.replace(services, media=worker, public_url=url))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(app, listener, stop))
            yield url
            stop.set()


@pytest.fixture
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as playwright:
        yield playwright


@pytest.fixture
async def open_browser(playwright: Playwright) -> AsyncIterator[OpenBrowser]:
    opened: list[Browser] = []

    async def open_one(devices: list[str]) -> Browser:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path(), args=[*QUIET, *devices], headless=True
        )
        opened.append(browser)
        return browser

    yield open_one
    for browser in opened:
        await browser.close()


@dataclass(frozen=True)
class Call:
    """A page with a call in it."""

    page: Page
    worker: PageWorker
    conversation_id: str
    # What the console of the page said that is an error or a refusal by the content policy.
    complaints: list[str]

    async def connected(self, number: int = 1) -> PagePeer:
        return await self.worker.connected(number)


StartCall = Callable[..., Awaitable[Call]]


@pytest.fixture
async def start_call(
    address: str,
    worker: PageWorker,
    conversation: dict[str, Any],
    conversation_log: Log,
    open_browser: OpenBrowser,
) -> StartCall:
    """Assigns the conversation and opens its link: the page joins by itself."""

    async def start(
        devices: list[str] = MICROPHONE_ALLOWED, *, before: str | None = None, **context: Any
    ) -> Call:
        conversation_id = conversation["conversation_id"]
        await conversation_log.assign(conversation_id, address=ADDRESS)
        browser = await open_browser(devices)
        page = await (await browser.new_context(**context)).new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None
        )
        if before:
            await page.add_init_script(before)
        await page.goto(f"{address}/#conversation={conversation_id}&token={conversation['join_token']}")
        return Call(page, worker, conversation_id, complaints)

    return start
