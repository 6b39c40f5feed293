"""The call element in a real browser: what a participant sees, hears and can do."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from tests.e2e.chromium import MICROPHONE_ABSENT, MICROPHONE_ALLOWED, MICROPHONE_REFUSED
from tests.e2e.page.conftest import StartCall
from tests.e2e.page.worker import AUDIBLE, SILENT, until

BUSY = """
navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("in use", "NotReadableError"));
"""
UNANSWERED = "navigator.mediaDevices.getUserMedia = () => new Promise(() => {});"


async def test_a_call_connects_shows_the_persona_and_says_its_state(start_call: StartCall) -> None:
    call = await start_call()
    peer = await call.connected()

    for state, word in [("listening", "Listening"), ("thinking", "Thinking"), ("speaking", "Speaking")]:
        await peer.tell(type="state", state=state, reason=None)
        await expect(call.page.get_by_role("status")).to_have_text(word)

    video = call.page.locator("vivavoce-call video").first
    await expect(video).to_have_js_property("videoWidth", 512)
    assert await video.evaluate("video => video.srcObject.getAudioTracks().length") == 1
    assert await video.evaluate("video => !video.muted && !video.paused")
    await until(lambda: "heartbeat" in peer.kinds())
    await until(lambda: peer.loudness["audio"] > AUDIBLE)
    assert call.complaints == []


async def test_the_offer_holds_candidates_and_needs_no_second_message(start_call: StartCall) -> None:
    call = await start_call()
    await call.connected()

    [offer] = call.worker.offers
    assert "a=candidate:" in offer
    assert "a=end-of-candidates" in offer or "typ host" in offer
    assert offer.count("a=sendrecv") == 2


async def test_muting_silences_the_microphone_and_unmuting_opens_it(start_call: StartCall) -> None:
    call = await start_call()
    peer = await call.connected()
    await until(lambda: peer.loudness["audio"] > AUDIBLE)

    await call.page.get_by_role("button", name="Mute").click()

    mute = call.page.get_by_role("button", name="Unmute")
    await expect(mute).to_have_attribute("aria-pressed", "true")
    await until(lambda: peer.loudness["audio"] < SILENT)
    await mute.click()
    await until(lambda: peer.loudness["audio"] > AUDIBLE)


async def test_the_camera_is_off_until_it_is_turned_on_and_can_be_turned_off(start_call: StartCall) -> None:
    call = await start_call()
    peer = await call.connected()
    camera = call.page.get_by_role("button", name="Camera")
    await expect(camera).to_have_attribute("aria-pressed", "false")
    assert peer.pictures == 0

    await camera.click()

    await until(lambda: peer.pictures > 2)
    await expect(call.page.get_by_label("Your camera")).to_be_visible()
    await call.page.get_by_role("button", name="Camera off").click()
    await expect(call.page.get_by_label("Your camera")).to_be_hidden()
    assert len(call.worker.peers) == 1, "no new connection was needed"


async def test_captions_of_both_sides_replace_partial_words(start_call: StartCall) -> None:
    call = await start_call()
    peer = await call.connected()

    await peer.tell(type="caption", role="user", id="u1", text="A pipe", final=False)
    await expect(call.page.get_by_role("listitem")).to_have_text(["You A pipe"])
    await peer.tell(type="caption", role="user", id="u1", text="A pipe burst.", final=True)
    await peer.tell(type="caption", role="persona", id="s1", text="I am sorry to hear that.", final=True)

    await expect(call.page.get_by_role("listitem")).to_have_text(
        ["You A pipe burst.", "Persona I am sorry to hear that."]
    )


async def test_an_interrupted_sentence_keeps_only_the_words_that_were_played(start_call: StartCall) -> None:
    call = await start_call()
    peer = await call.connected()
    await peer.tell(
        type="caption", role="persona", id="s1", text="You have three days to report.", final=True
    )
    await peer.tell(type="caption", role="persona", id="s2", text="Do you want more?", final=True)

    await peer.tell(type="interrupted", id="s1", played_text="You have three")
    await peer.tell(type="interrupted", id="s2", played_text="")
    await peer.tell(
        type="caption", role="persona", id="s1", text="You have three days to report.", final=True
    )
    await peer.tell(type="caption", role="user", id="u1", text="Wait.", final=True)

    await expect(call.page.get_by_role("listitem")).to_have_text(
        ["Persona You have three interrupted", "You Wait."]
    )


async def test_captions_are_bounded(start_call: StartCall) -> None:
    call = await start_call()
    peer = await call.connected()

    for number in range(205):
        await peer.tell(type="caption", role="user", id=f"u{number}", text=f"words {number}", final=True)

    captions = call.page.get_by_role("listitem")
    await expect(captions).to_have_count(200)
    await expect(captions.first).to_contain_text("words 5")


async def test_words_of_a_caption_are_never_markup(start_call: StartCall) -> None:
    call = await start_call()
    peer = await call.connected()

    await peer.tell(type="caption", role="user", id="u1", text="<img src=x onerror=alert(1)>", final=True)

    await expect(call.page.get_by_role("listitem")).to_contain_text("<img src=x")
    assert await call.page.locator("vivavoce-call img").count() == 0


@pytest.mark.parametrize(
    ("devices", "before", "sentence"),
    [
        (MICROPHONE_REFUSED, None, "The microphone is blocked for this page."),
        (MICROPHONE_ABSENT, None, "No microphone was found."),
        (MICROPHONE_ALLOWED, BUSY, "The microphone is in use by another program."),
        (
            MICROPHONE_ALLOWED,
            "delete Navigator.prototype.mediaDevices;",
            "Browsers give a microphone only to pages with a secure address",
        ),
    ],
    ids=["refused", "absent", "busy", "insecure"],
)
async def test_without_a_microphone_the_page_says_why_and_typing_works(
    start_call: StartCall, devices: list[str], before: str | None, sentence: str
) -> None:
    call = await start_call(devices, before=before)
    peer = await call.connected()

    notice = call.page.get_by_role("alert").filter(has_text=sentence)
    await expect(notice).to_be_visible()
    await expect(notice).to_contain_text("You can also type.")
    field = call.page.get_by_role("textbox", name="Type instead of speaking")
    await field.fill("A pipe burst this morning.")
    await field.press("Enter")

    await until(lambda: peer.texts() == ["A pipe burst this morning."])
    await expect(field).to_have_value("")


async def test_a_microphone_that_comes_later_is_used_without_a_new_connection(start_call: StartCall) -> None:
    call = await start_call(
        before="""
        const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        let asked = 0;
        navigator.mediaDevices.getUserMedia = (wanted) =>
          asked++ ? real(wanted) : Promise.reject(new DOMException("none", "NotFoundError"));
        """
    )
    peer = await call.connected()

    await call.page.get_by_role("button", name="Try again").click()

    await until(lambda: peer.loudness["audio"] > AUDIBLE)
    await expect(call.page.get_by_role("button", name="Mute")).to_be_visible()
    assert len(call.worker.peers) == 1


async def test_whoever_does_not_answer_the_prompt_can_go_on_without(start_call: StartCall) -> None:
    call = await start_call(before=UNANSWERED)

    await call.page.get_by_role("button", name="Go on without").click()

    await call.connected()


async def test_echo_cancellation_is_on_unless_the_sound_is_to_be_raw(start_call: StartCall) -> None:
    call = await start_call(
        before="""
        const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = (wanted) => { window.wanted = wanted; return real(wanted); };
        """
    )
    await call.connected()
    wanted = await call.page.evaluate("window.wanted.audio")
    assert wanted["echoCancellation"] is wanted["noiseSuppression"] is wanted["autoGainControl"] is True

    await call.page.evaluate(
        "import('/sdk/devices.js').then(({ openMicrophone }) => openMicrophone({ raw: true }))"
    )

    wanted = await call.page.evaluate("window.wanted.audio")
    assert wanted["echoCancellation"] is wanted["noiseSuppression"] is wanted["autoGainControl"] is False


async def test_a_dropped_connection_is_replaced_and_the_page_says_so(start_call: StartCall) -> None:
    call = await start_call()
    peer = await call.connected()
    await peer.tell(type="state", state="listening", reason=None)
    await peer.tell(type="caption", role="user", id="u1", text="Before.", final=True)
    await expect(call.page.get_by_role("listitem")).to_have_count(1)
    call.worker.full = True

    await peer.drop()

    await expect(call.page.locator("vivavoce-call")).to_have_attribute("state", "reconnecting")
    await expect(call.page.get_by_role("status")).to_contain_text("Waiting for a free line")
    call.worker.full = False
    second = await call.connected(2)
    await second.tell(type="state", state="listening", reason=None)
    await second.tell(type="caption", role="user", id="u2", text="After.", final=True)
    await expect(call.page.get_by_role("status")).to_have_text("Listening")
    await expect(call.page.get_by_role("listitem")).to_have_text(["You Before.", "You After."])
    await until(lambda: second.loudness["audio"] > AUDIBLE)


async def test_a_worker_that_falls_silent_is_taken_for_lost(start_call: StartCall) -> None:
    call = await start_call()
    peer = await call.connected()
    await peer.tell(type="state", state="listening", reason=None)

    peer.beating = False

    await expect(call.page.locator("vivavoce-call")).to_have_attribute("state", "reconnecting", timeout=8_000)
    await call.connected(2)


async def test_a_worker_that_is_not_there_yet_is_waited_for(start_call: StartCall, worker: Any) -> None:
    worker.full = True
    call = await start_call()
    await expect(call.page.get_by_role("status")).to_have_text("Waiting for a free line…")

    worker.full = False

    peer = await call.connected()
    await peer.tell(type="state", state="listening", reason=None)
    await expect(call.page.get_by_role("status")).to_have_text("Listening")
    assert len(worker.offers) > 1


async def test_hanging_up_tells_the_worker_and_the_api_and_ends(start_call: StartCall) -> None:
    call = await start_call()
    peer = await call.connected()

    await call.page.get_by_role("button", name="Hang up").click()

    await expect(call.page.get_by_role("status")).to_have_text("You hung up.")
    await until(lambda: "hang_up" in peer.kinds())
    await until(lambda: len(call.worker.left) == 1)
    await expect(call.page.get_by_role("button")).to_have_count(0)
    await expect(call.page.get_by_role("textbox")).to_have_count(0)


async def test_leaving_the_page_is_hanging_up(start_call: StartCall) -> None:
    call = await start_call()
    await call.connected()

    await call.page.goto("about:blank")

    await until(lambda: len(call.worker.left) == 1)


async def test_an_element_that_is_taken_away_hangs_up_and_one_that_is_moved_does_not(
    start_call: StartCall,
) -> None:
    call = await start_call()
    peer = await call.connected()
    await call.page.evaluate("document.body.append(document.querySelector('vivavoce-call'))")
    await peer.tell(type="state", state="thinking", reason=None)
    await expect(call.page.get_by_role("status")).to_have_text("Thinking")

    await call.page.evaluate("document.querySelector('vivavoce-call').remove()")

    await until(lambda: len(call.worker.left) == 1)


async def test_an_end_that_the_worker_tells_is_said_with_its_reason(start_call: StartCall) -> None:
    call = await start_call()
    peer = await call.connected()

    await peer.tell(type="state", state="ended", reason="max_call_duration")

    await expect(call.page.get_by_role("status")).to_have_text("The time for this conversation is over.")
    assert len(call.worker.peers) == 1


async def test_a_token_that_was_used_ends_with_a_sentence(start_call: StartCall) -> None:
    call = await start_call()
    await call.connected()
    page = await call.page.context.new_page()
    link = await call.page.evaluate("document.querySelector('vivavoce-call').getAttribute('join-token')")

    await page.goto(f"{call.page.url}#conversation={call.conversation_id}&token={link}")

    await expect(page.get_by_role("status")).to_contain_text("it works once")
    assert await page.evaluate("location.hash") == ""


async def test_every_control_is_reached_and_worked_by_keyboard(start_call: StartCall) -> None:
    call = await start_call()
    peer = await call.connected()
    await peer.tell(type="state", state="listening", reason=None)
    await expect(call.page.get_by_role("status")).to_have_text("Listening")
    focused = """() => {
      const inner = document.querySelector("vivavoce-call").shadowRoot.activeElement;
      if (!inner) return null;
      const outline = getComputedStyle(inner).outlineStyle;
      return [inner.ariaLabel ?? inner.textContent.trim(), outline];
    }"""

    seen = []
    for _ in range(6):
        await call.page.keyboard.press("Tab")
        seen.append(await call.page.evaluate(focused))

    assert seen == [
        ["Mute", "solid"],
        ["Camera", "solid"],
        ["Hang up", "solid"],
        ["Captions", "solid"],
        ["Type instead of speaking", "solid"],
        ["Send", "solid"],
    ]
    await call.page.keyboard.press("Shift+Tab")
    await call.page.keyboard.type("By keyboard.")
    await call.page.keyboard.press("Enter")
    await until(lambda: peer.texts() == ["By keyboard."])


async def test_the_look_follows_custom_properties_and_the_color_scheme(start_call: StartCall) -> None:
    call = await start_call(color_scheme="dark")
    await call.connected()
    background = "element => getComputedStyle(element).backgroundColor"
    body = call.page.locator("vivavoce-call section")
    assert await body.evaluate(background) == "rgb(20, 26, 33)"

    await call.page.emulate_media(color_scheme="light")
    assert await body.evaluate(background) == "rgb(255, 255, 255)"
    await call.page.evaluate(
        "document.querySelector('vivavoce-call').style.setProperty('--vivavoce-danger', 'rgb(1, 2, 3)')"
    )

    hang_up = call.page.get_by_role("button", name="Hang up")
    assert await hang_up.evaluate(background) == "rgb(1, 2, 3)"


@pytest.mark.parametrize("width", [360, 1280])
async def test_nothing_is_cut_off_on_a_narrow_or_a_wide_screen(start_call: StartCall, width: int) -> None:
    call = await start_call(viewport={"width": width, "height": 740})
    peer = await call.connected()
    long = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft " * 3
    await peer.tell(type="caption", role="user", id="u1", text=long, final=True)
    await expect(call.page.get_by_role("listitem")).to_have_count(1)

    assert await call.page.evaluate("document.documentElement.scrollWidth") <= width
    for name in ("Mute", "Camera", "Hang up", "Send"):
        box = await call.page.get_by_role("button", name=name).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["height"] >= 44
