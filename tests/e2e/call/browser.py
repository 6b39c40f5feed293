"""A whole call in a real Chromium: a person opens the link, speaks, writes over the answer, and hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from tests.e2e.call.page_log import WATCH, Shown, Turn, shown_by
from tests.e2e.chromium import MICROPHONE_ALLOWED, QUIET, chromium_path
from tests.stack import RunningStack

AUTOPLAY = "--autoplay-policy=no-user-gesture-required"
SPEAKS_WITHIN_MS = 60_000
# The capture device plays the recording from the moment at which the page opens it. The first time it finds
# none, so that the person has been greeted before the recording begins.
NO_MICROPHONE_YET = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
let asked = 0;
navigator.mediaDevices.getUserMedia = (wanted) =>
  asked++ ? open(wanted) : Promise.reject(new DOMException("none yet", "NotFoundError"));
"""
# What the page received: decoded pictures.
RECEIVED = """
() => {
  const call = document.querySelector("vivavoce-call");
  const video = call.shadowRoot.querySelector("video[part=video]");
  return { width: video.videoWidth, frames: video.getVideoPlaybackQuality().totalVideoFrames };
}
"""
# Resolves with the loudest sample as soon as it is loud enough, and with what there was when time is up.
LOUDNESS = """
async ([enough, ms]) => {
  const call = document.querySelector("vivavoce-call");
  const video = call.shadowRoot.querySelector("video[part=video]");
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(video.srcObject).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let loudest = 0;
  for (const until = performance.now() + ms; loudest < enough && performance.now() < until; ) {
    await new Promise((done) => setTimeout(done, 20));
    analyser.getFloatTimeDomainData(samples);
    loudest = Math.max(loudest, ...samples);
  }
  return loudest;
}
"""
LOUD, LOUD_WITHIN_MS = 0.05, 5_000
# What the page's own rules on scripts let a test wait for: a promise of a script that was there before.
SPEAKS = "(times) => window.when(() => window.spoke() >= times)"
CUT_OFF = "() => window.when(() => window.cut())"
# One for each turn of the record: whose it is, what was said, what was not, and what is noted beside it.
TRANSCRIPT = """
() => [...document.querySelectorAll(".record .transcript > *")].map((row) => {
  const texts = (selector) => [...row.querySelectorAll(selector)].map((found) => found.textContent);
  const said = [...row.querySelector("p").childNodes].filter((found) => found.nodeType === Node.TEXT_NODE);
  const words = said.map((found) => found.textContent).join(" ").split(/\\s+/).filter(Boolean);
  return [row.dataset.role, words.join(" "), texts("s"), texts(".cut")];
})
"""


@dataclass(frozen=True)
class Microphone:
    """What a person says after the greeting, in `voice`. `word` is one of it that is easy to make out."""

    voice: str
    path: Path
    word: str


@dataclass(frozen=True)
class BrowserCall:
    """`written` is what the page showed of the record after the call."""

    microphone: Microphone
    conversation_id: str
    shown: Shown
    written: list[Turn]
    received: dict[str, Any]
    loudness: float
    errors: list[str]


async def call_in_chromium(
    running: RunningStack, *, persona: str, microphone: Microphone, typed: str
) -> BrowserCall:
    """`typed` is written into the answer to what is said into the microphone."""
    async with async_playwright() as playwright:
        device = f"--use-file-for-fake-audio-capture={microphone.path}%noloop"
        browser = await playwright.chromium.launch(
            executable_path=chromium_path(), args=[*QUIET, *MICROPHONE_ALLOWED, AUTOPLAY, device]
        )
        page = await browser.new_page()
        page.set_default_timeout(SPEAKS_WITHIN_MS)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.add_init_script(NO_MICROPHONE_YET)
        await page.add_init_script(WATCH)

        await page.goto(running.link.replace("/#", "/?raw-audio#"))
        await page.get_by_role("radio", name=persona).check()
        await page.get_by_role("button", name="Start a conversation").click()
        await _spoken(page, times=1)
        conversation_id = await page.evaluate(
            'document.querySelector("vivavoce-call").getAttribute("conversation-id")'
        )
        await page.get_by_role("button", name="Try again").click()
        await _speaks(page, times=2)
        loudness = await page.evaluate(LOUDNESS, [LOUD, LOUD_WITHIN_MS])
        field = page.get_by_role("textbox", name="Type instead of speaking")
        await field.fill(typed)
        answers = await page.evaluate("window.spoke()")
        await field.press("Enter")
        await _within(page.evaluate(CUT_OFF))
        await _spoken(page, times=answers + 1)
        received = await page.evaluate(RECEIVED)
        await page.get_by_role("button", name="Hang up").click()
        await page.get_by_text("Sealed, complete").wait_for()
        call = BrowserCall(
            microphone,
            conversation_id,
            await shown_by(page),
            [Turn(*row) for row in await page.evaluate(TRANSCRIPT)],
            received,
            loudness,
            errors,
        )
        await browser.close()
    return call


async def _speaks(page: Page, *, times: int) -> None:
    await _within(page.evaluate(SPEAKS, times))


async def _spoken(page: Page, *, times: int) -> None:
    """The persona has spoken so many times, and listens."""
    await _speaks(page, times=times)
    await page.locator("vivavoce-call[state=listening]").wait_for()


async def _within(condition: Awaitable[object]) -> None:
    async with asyncio.timeout(SPEAKS_WITHIN_MS / 1000):
        await condition
