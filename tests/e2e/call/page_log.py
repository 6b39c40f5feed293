"""Everything that the call element showed, in its order, taken down by the page itself; and what it should
have shown, folded from the events in the record."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Page

# Runs before the page's own code. `shown` holds ["state", name] and ["captions", list of [role, text, cut]];
# `when` resolves as soon as what is shown passes a test.
WATCH = """
window.shown = [];
const waiting = new Set();
const note = (entry) => {
  window.shown.push(entry);
  for (const look of waiting) look();
};
window.when = (test) => new Promise((resolve) => {
  const look = () => {
    if (!test()) return;
    waiting.delete(look);
    resolve();
  };
  waiting.add(look);
  look();
});
window.spoke = () => window.shown.filter(([kind, name]) => kind === "state" && name === "speaking").length;
window.cut = () => window.shown.some(([kind, list]) => kind === "captions" && list.some((item) => item[2]));
const said = (item) => [
  item.dataset.role,
  item.querySelector(".said")?.textContent ?? "",
  "interrupted" in item.dataset,
];
const captions = (call) => [...call.shadowRoot.querySelectorAll("[data-role]")].map(said);
let watched = null;
let before = "[]";
document.addEventListener("vivavoce-state", ({ target, detail }) => {
  note(["state", detail.state]);
  if (target === watched) return;
  watched = target;
  new MutationObserver(() => {
    const now = captions(target);
    if (JSON.stringify(now) === before) return;
    before = JSON.stringify(now);
    note(["captions", now]);
  }).observe(target.shadowRoot, { subtree: true, childList: true, characterData: true, attributes: true });
});
"""
# The first is for what the element does by itself, before a worker is there.
CONNECTING, ENDED = "connecting", "ended"


@dataclass(frozen=True, slots=True)
class Line:
    """One caption. `interrupted` is the mark that the page puts beside a sentence that was cut off."""

    role: str
    text: str
    interrupted: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """All that a page showed of a call. `captions` holds the list as it was after each change of it."""

    states: tuple[str, ...]
    captions: tuple[tuple[Line, ...], ...]

    @property
    def last(self) -> tuple[Line, ...]:
        return self.captions[-1]


@dataclass(frozen=True, slots=True)
class Turn:
    """What stands on the page after the call: adjacent lines of one side. `notes` stand behind lines that
    were typed, and behind what was not spoken."""

    role: str
    said: str
    unsaid: list[str]
    notes: list[str]


async def shown_by(page: Page) -> Shown:
    entries = await page.evaluate("window.shown")
    states = [entry[1] for entry in entries if entry[0] == "state"]
    # The same state is told again when its sentence changes: which attempt it is, or what is waited for.
    return Shown(
        tuple(state for state, _ in itertools.groupby(states)),
        tuple(tuple(Line(*item) for item in entry[1]) for entry in entries if entry[0] == "captions"),
    )


def states_of(events: Sequence[dict[str, Any]]) -> list[str]:
    """What the page says of the floor, from the record: whoever has it, and that an answer is being made."""
    states = [CONNECTING]
    # Of an opening no more is generated; an answer goes on until the record says that it was generated.
    answering = False
    for event in events:
        match event["type"], event["payload"]:
            case "media.connected", _:
                states.append("listening")
            case "utterance.transcribed", {"source": "text"}:
                states.append("thinking")
                answering = True
            case "floor.changed", {"reason": "end_of_turn"}:
                states.append("thinking")
                answering = True
            case "sentence.interrupted", _:
                # With the rest of its reply, of which the record says so later.
                answering = False
            case "reply.generated", {"finish": "cancelled"}:
                pass
            case "reply.generated", _:
                answering = False
            case "floor.changed", {"state": "persona" | "overlap"}:
                states.append("speaking")
            case "floor.changed", {"state": "listening"} if answering:
                pass
            case "floor.changed", _:
                states.append("listening")
            case "conversation.ended", _:
                states.append(ENDED)
    return [state for state, _ in itertools.groupby(states)]


def captions_of(events: Sequence[dict[str, Any]]) -> list[Line]:
    """What stands on the page in the end: what the person said, and of the persona what was played."""
    fates = {
        event["payload"]["sentence_id"]: event
        for event in events
        if event["type"] in ("sentence.played", "sentence.interrupted")
    }
    lines: list[Line] = []
    for event in events:
        said = event["payload"]
        if event["type"] == "utterance.transcribed":
            lines.append(Line("user", said["text"], interrupted=False))
        elif event["type"] == "sentence.committed":
            fate = fates[said["sentence_id"]]
            cut = fate["type"] == "sentence.interrupted"
            played = fate["payload"]["played_text"] if cut else said["text"]
            if played:
                lines.append(Line("persona", played, cut))
    return lines


def turns_of(events: Sequence[dict[str, Any]]) -> list[Turn]:
    """What the page should tell after the call: all that was said, and of the persona also what was not."""
    played = {
        event["payload"]["sentence_id"]: event["payload"]["played_text"]
        for event in events
        if event["type"] == "sentence.interrupted"
    }
    turns: list[Turn] = []
    for event in events:
        said, unsaid, notes = event["payload"].get("text", ""), [], []
        match event["type"]:
            case "utterance.transcribed":
                role, notes = "user", ["(typed)"] * (event["payload"]["source"] == "text")
            case "sentence.committed":
                role, whole = "persona", said
                said = played.get(event["payload"]["sentence_id"], whole)
                unsaid = [whole.removeprefix(said).strip()] if said != whole else []
                notes = ["(not spoken)"] * len(unsaid)
            case _:
                continue
        if not turns or turns[-1].role != role:
            turns.append(Turn(role, "", [], []))
        last = turns[-1]
        turns[-1] = Turn(role, f"{last.said} {said}".strip(), last.unsaid + unsaid, last.notes + notes)
    return turns


def assert_nothing_else_was_shown(shown: Shown, events: Sequence[dict[str, Any]]) -> None:
    """At no moment did a caption stand on the page that the record does not hold, or in another order than
    there; and each sentence was shown whole when it began, also one that was cut off later."""
    order: dict[tuple[str, str, bool], int] = {}
    began: set[str] = set()
    places: dict[str, int] = {}
    for event in events:
        said, place = event["payload"], event["version"]
        match event["type"]:
            case "utterance.transcribed":
                order["user", said["text"], False] = place
            case "sentence.committed":
                order["persona", said["text"], False] = places[said["sentence_id"]] = place
                began.add(said["text"])
            case "sentence.interrupted" if said["played_text"]:
                order["persona", said["played_text"], True] = places[said["sentence_id"]]
    ever: set[str] = set()
    for captions in shown.captions:
        # A caption is put there first and filled then.
        filled = [(line.role, line.text, line.interrupted) for line in captions if line.text]
        ever.update(text for _, text, _ in filled)
        assert [order.get(line) for line in filled] == sorted(order[line] for line in filled if line in order)
    assert {line.text for line in captions_of(events)} <= ever
    whole = {line.text for line in captions_of(events) if not line.interrupted and line.role == "persona"}
    assert whole <= began <= ever | _never_begun(events)


def _never_begun(events: Sequence[dict[str, Any]]) -> set[str]:
    """Sentences of which nothing was played: whether they stood on the page for a moment, nobody can say."""
    silent = {
        event["payload"]["sentence_id"]
        for event in events
        if event["type"] == "sentence.interrupted" and not event["payload"]["played_text"]
    }
    return {
        event["payload"]["text"]
        for event in events
        if event["type"] == "sentence.committed" and event["payload"]["sentence_id"] in silent
    }
