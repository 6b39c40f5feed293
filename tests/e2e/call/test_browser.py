"""A call in a real Chromium, with a recorded voice as its microphone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from tests.calls import Say
from tests.e2e.chromium import MICROPHONE_ALLOWED, QUIET, chromium_path
from tests.stack import RunningStack, payloads

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

AUTOPLAY = "--autoplay-policy=no-user-gesture-required"
# What the page received: decoded pictures, and how much sound.
RECEIVED = """
() => {
  const call = document.querySelector("vivavoce-call");
  const video = call.shadowRoot.querySelector("video[part=video]");
  return { width: video.videoWidth, frames: video.getVideoPlaybackQuality().totalVideoFrames };
}
"""
LOUDNESS = """
async () => {
  const call = document.querySelector("vivavoce-call");
  const video = call.shadowRoot.querySelector("video[part=video]");
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(video.srcObject).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let loudest = 0;
  for (let k = 0; k < 50; k++) {
    await new Promise((done) => setTimeout(done, 100));
    analyser.getFloatTimeDomainData(samples);
    loudest = Math.max(loudest, ...samples);
  }
  return loudest;
}
"""


@dataclass(frozen=True)
class Shown:
    """What the page showed and sounded like while the persona answered."""

    captions: str
    loudness: float


async def test_a_person_joins_is_heard_hears_sees_and_hangs_up(
    running: RunningStack, say: Say, tmp_path: Path
) -> None:
    # Given a browser whose microphone plays a question after the greeting
    microphone = say("microphone", "How do I make a complaint about my claim?", lead_s=16, tail_s=60)
    before = {c["conversation_id"] for c in running.ask("conversation", "list")["conversations"]}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path(),
            args=[
                *QUIET,
                *MICROPHONE_ALLOWED,
                AUTOPLAY,
                f"--use-file-for-fake-audio-capture={microphone}%noloop",
            ],
        )
        page = await browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))

        # When a person opens the link, starts a conversation, is answered, and hangs up
        await page.goto(running.link.replace("/#", "/?raw-audio#"))
        await page.get_by_role("radio", name="Nora").check()
        await page.get_by_role("button", name="Start a conversation").click()
        shown = await answered(page)
        received = await page.evaluate(RECEIVED)
        await page.get_by_role("button", name="Hang up").click()
        await page.get_by_text("What stands in the record").wait_for(timeout=60_000)
        await page.get_by_text("Sealed, complete").wait_for(timeout=60_000)
        await browser.close()

    # Then they saw and heard the persona
    assert errors == []
    assert received["width"] == 512
    assert received["frames"] > 200
    assert shown.loudness > 0.05
    # And what the page showed is what stands in the record
    (conversation,) = {
        c["conversation_id"] for c in running.ask("conversation", "list")["conversations"]
    } - before
    events = running.events(conversation)
    committed = [p["text"] for p in payloads(events, "sentence.committed")]
    (heard,) = payloads(events, "utterance.transcribed")
    assert "complaint" in heard["text"].lower()
    for line in (committed[0], heard["text"]):
        assert line in shown.captions
    assert [p["reason"] for p in payloads(events, "participant.left")] == ["hung_up"]
    assert payloads(events, "conversation.ended") == [{"reason": "participant_hung_up"}]


async def answered(page: Page) -> Shown:
    """Waits until the persona answers, and keeps what the page shows and sounds like by then."""
    call = page.locator("vivavoce-call")
    await call.get_by_text("complaint", exact=False).first.wait_for(timeout=60_000)
    await page.locator("vivavoce-call[state=speaking]").wait_for(timeout=20_000)
    loudness = await page.evaluate(LOUDNESS)
    captions = await call.evaluate("(element) => element.shadowRoot.textContent")
    return Shown(captions, loudness)
