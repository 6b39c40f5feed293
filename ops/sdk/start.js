// The start page: choose a persona, talk, and read afterwards what stands in the record.
//
// The link carries `#key=API_KEY` (whoever runs the service) or `#conversation=ID&token=TOKEN` (a participant).
// Either is taken out of the address bar at once and kept in memory only.

import "./vivavoce-call.js";
import { duration, foldTranscript } from "./record.js";
import { node } from "./view.js";

const PERSONAS_SHOWN_MAX = 50;
const EVENTS_PAGE = 500;
const EVENTS_SHOWN_MAX = 20_000;
const SEAL_MS_MAX = 20_000;
const SEAL_LOOK_MS = 500;
const REQUEST_MS_MAX = 15_000;

const END_WORDS = {
  participant_hung_up: "You hung up",
  record_unavailable: "It could not be recorded any more",
  participant_absent: "Nobody joined",
  participant_left: "The connection was lost",
  idle: "Nobody spoke",
  max_call_duration: "The time was over",
  requested: "Ended by request",
  guardrail: "Ended under its rules",
  no_media_worker: "No line became free",
};

const find = (selector) => document.querySelector(selector);
let apiKey = null;
let personas = [];

async function api(path, options = {}) {
  const response = await fetch(`/v1${path}`, {
    ...options,
    headers: { Authorization: `Bearer ${apiKey}`, ...options.headers },
    cache: "no-store",
    signal: AbortSignal.timeout(REQUEST_MS_MAX),
  });
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail ?? `The service answered with status ${response.status}.`);
  return body;
}

function show(name) {
  for (const section of document.querySelectorAll("main > section")) {
    section.hidden = !section.classList.contains(name);
  }
}

function say(sentence) {
  find(".message[role]").textContent = sentence ?? "";
  find(".message[role]").hidden = !sentence;
}

function sentenceOf(error) {
  if (error.name === "TimeoutError" || error instanceof TypeError) {
    return "The service cannot be reached. Check that it is running, then try again.";
  }
  return error.message;
}

async function choose() {
  find(".talk").replaceChildren();
  try {
    ({ personas } = await api(`/personas?limit=${PERSONAS_SHOWN_MAX}`));
  } catch (error) {
    say(sentenceOf(error));
    show("key");
    return;
  }
  if (personas.length === 0) say("No persona has been published yet. Publish one with `vivavoce persona publish FILE`.");
  const list = find(".personas");
  list.querySelectorAll("label").forEach((label) => label.remove());
  personas.forEach((persona, index) => list.append(card(persona, index)));
  find(".choose button").disabled = personas.length === 0;
  show("choose");
}

function card(persona, index) {
  const choice = node("input", { type: "radio", name: "persona", value: persona.persona_id });
  choice.checked = index === 0;
  const titles = persona.document_titles;
  const about = titles.length ? `Answers from: ${titles.join(", ")}.` : "Has no documents of its own.";
  return node("label", {}, [choice, node("strong", {}, persona.name), node("span", {}, about)]);
}

async function start(event) {
  event.preventDefault();
  const button = find(".choose button");
  button.disabled = true;
  say(null);
  try {
    const personaId = new FormData(event.target).get("persona");
    const conversation = await api("/conversations", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() },
      body: JSON.stringify({ persona_id: personaId }),
    });
    const persona = personas.find(({ persona_id: id }) => id === personaId);
    talk(conversation.conversation_id, conversation.join_token, persona.name);
  } catch (error) {
    say(sentenceOf(error));
  } finally {
    button.disabled = false;
  }
}

function talk(conversationId, joinToken, personaName) {
  const call = node("vivavoce-call", { "conversation-id": conversationId, "join-token": joinToken });
  if (personaName) call.setAttribute("persona-name", personaName);
  if (new URLSearchParams(location.search).has("raw-audio")) call.setAttribute("raw-audio", "");
  call.addEventListener("vivavoce-ended", () => {
    if (apiKey) void showRecord(conversationId, personaName);
  });
  find(".talk").replaceChildren(call);
  show("talk");
  // Whoever pressed the button with the keyboard goes on from the call, not from the top of the page.
  find(".talk").focus();
}

async function showRecord(conversationId, personaName) {
  const section = find(".record");
  section.querySelector("dl").replaceChildren();
  section.querySelector(".transcript").replaceChildren();
  section.querySelector(".lead").textContent = "The record is being closed…";
  section.hidden = false;
  section.querySelector("h1").focus();
  try {
    const conversation = await sealed(conversationId);
    const events = await allEvents(conversationId);
    section.querySelector(".lead").textContent = conversation.sealed
      ? "The conversation was written down while it happened. Its record is closed and takes nothing more."
      : "The conversation was written down while it happened. Its record is not closed yet.";
    section.querySelector("dl").append(...facts(conversation, events));
    section.querySelector(".transcript").append(...transcript(events, personaName));
  } catch (error) {
    section.querySelector(".lead").textContent = sentenceOf(error);
  }
  section.querySelector("button").hidden = false;
}

async function sealed(conversationId) {
  const until = performance.now() + SEAL_MS_MAX;
  for (;;) {
    const conversation = await api(`/conversations/${conversationId}`);
    if (conversation.sealed || performance.now() > until) return conversation;
    await new Promise((resolve) => setTimeout(resolve, SEAL_LOOK_MS));
  }
}

async function allEvents(conversationId) {
  const events = [];
  for (let after = 0; events.length < EVENTS_SHOWN_MAX; ) {
    const page = await api(`/conversations/${conversationId}/events?after=${after}&limit=${EVENTS_PAGE}`);
    events.push(...page.events);
    if (page.events.length < EVENTS_PAGE) break;
    after = page.next_after;
  }
  return events;
}

function facts(conversation, events) {
  const { started_at: startedAt, ended_at: endedAt, sealed: seal } = conversation;
  const fact = (name, value, whole = false) =>
    node("div", whole ? { class: "whole" } : {}, [node("dt", {}, name), node("dd", {}, value)]);
  const list = [
    fact("Status", seal ? (seal.capture === "complete" ? "Sealed, complete" : "Sealed, with gaps") : "Open"),
    fact("Length", startedAt && endedAt ? duration(startedAt, endedAt) : "–"),
    fact("Why it ended", END_WORDS[conversation.end_reason] ?? "–"),
    fact("Events", String(events.length)),
    fact("Conversation", node("code", {}, conversation.conversation_id), true),
  ];
  if (seal) list.push(fact("Digest of all headers (SHA-256)", node("code", {}, seal.headers_sha256), true));
  return list;
}

function transcript(events, personaName) {
  const names = { user: "You", persona: personaName ?? "Persona", injected: "Text, not spoken" };
  const turns = foldTranscript(events);
  if (turns.length === 0) return [node("li", {}, [node("p", {}, "Nothing was said.")])];
  return turns.map((turn) => {
    const time = node("time", { datetime: turn.at }, new Date(turn.at).toLocaleTimeString());
    const words = node("p");
    for (const line of turn.lines) {
      words.append(line.said, line.said ? " " : "");
      if (line.typed) words.append(node("span", { class: "cut" }, "(typed)"), " ");
      if (line.unsaid) words.append(node("s", {}, line.unsaid), " ", node("span", { class: "cut" }, "(not spoken)"), " ");
    }
    return node("li", { "data-role": turn.role }, [node("div", { class: "who" }, [names[turn.role], " ", time]), words]);
  });
}

function readLink() {
  const link = new URLSearchParams(location.hash.slice(1));
  history.replaceState(null, "", location.pathname + location.search);
  return { key: link.get("key"), conversation: link.get("conversation"), token: link.get("token") };
}

function open() {
  const { key, conversation, token } = readLink();
  say(null);
  if (conversation && token) {
    talk(conversation, token, null);
  } else if (key) {
    apiKey = key;
    void choose();
  } else {
    show("key");
  }
}

find(".choose form").addEventListener("submit", (event) => void start(event));
find(".key form").addEventListener("submit", (event) => {
  event.preventDefault();
  apiKey = new FormData(event.target).get("key").trim();
  say(null);
  void choose();
});
find(".record button").addEventListener("click", () => void choose());
// A link pasted into the open page changes the fragment without loading the page anew.
addEventListener("hashchange", () => {
  if (location.hash.length > 1) open();
});
open();
