// What the call looks like: builds the element's shadow tree and keeps names for its parts. No behaviour.

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  microphone: ["M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3Z", "M6 11a6 6 0 0 0 12 0", "M12 17v4"],
  muted: ["M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3Z", "M6 11a6 6 0 0 0 12 0", "M12 17v4", "M4 4l16 16"],
  camera: ["M4 7h10a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1Z", "M15 11l6-3v8l-6-3"],
  hangUp: ["M3 14.5c5-5 13-5 18 0l-2.6 2.6-3.6-1.6v-2.6a11 11 0 0 0-5.6 0v2.6l-3.6 1.6Z"],
  send: ["M4 12l16-8-5 16-3.5-6.5Z", "M11.500 13.500L20 4"],
};

export const STATE_WORDS = {
  connecting: "Connecting…",
  listening: "Listening",
  thinking: "Thinking",
  speaking: "Speaking",
  reconnecting: "Reconnecting…",
  ended: "Ended",
};

export function buildView(root, stylesheet) {
  const video = node("video", { part: "video", autoplay: "", playsinline: "" });
  const selfView = node("video", { class: "self", part: "self-view", autoplay: "", playsinline: "", hidden: "" });
  selfView.muted = true;
  selfView.setAttribute("aria-label", "Your camera");
  // The persona does not look yet, and nothing of the camera leaves the page: whoever turns it on is told.
  const selfNote = node("span", { class: "self-note", hidden: "" }, "Only you see this");
  const statusText = node("span", { class: "status-text" }, STATE_WORDS.connecting);
  // Read out when it changes: whoever does not see the picture hears who has the floor.
  const status = node("p", { class: "status", part: "status", role: "status", "aria-live": "polite" }, [
    node("span", { class: "dot", "aria-hidden": "true" }),
    statusText,
  ]);
  const soundOn = node("button", { type: "button", class: "sound", hidden: "" }, "Turn the sound on");
  const stage = node("div", { class: "stage", part: "stage" }, [
    node("div", { class: "waiting", "aria-hidden": "true" }, [node("span"), node("span"), node("span")]),
    video,
    selfView,
    selfNote,
    status,
    soundOn,
  ]);
  const notice = buildNotice();
  const controls = buildControls();
  const talk = buildTalk();
  const left = node("div", { class: "left" }, [stage, controls.bar]);
  const right = node("div", { class: "right" }, [notice.box, talk.captions, talk.form]);
  const call = node("section", { class: "call", part: "call", "data-state": "connecting" }, [left, right]);
  root.append(node("link", { rel: "stylesheet", href: stylesheet }), call);
  return { call, video, selfView, selfNote, status, statusText, soundOn, notice, ...controls, ...talk };
}

function buildNotice() {
  const text = node("p");
  const action = node("button", { type: "button", hidden: "" });
  const box = node("div", { class: "notice", part: "notice", role: "alert", hidden: "" }, [text, action]);
  return { box, text, action };
}

function buildControls() {
  const mute = button("mute", "microphone", "Mute", { "aria-pressed": "false" });
  const camera = button("camera", "camera", "Camera", { "aria-pressed": "false" });
  const hangUp = button("hang-up", "hangUp", "Hang up", { class: "danger" });
  const bar = node("div", { class: "controls", part: "controls", role: "group", "aria-label": "Call controls" }, [
    mute,
    camera,
    hangUp,
  ]);
  return { bar, mute, camera, hangUp };
}

function buildTalk() {
  // Silent for screen readers: its words are being spoken aloud at the same moment. It can be reached and
  // read at leisure.
  const captions = node("ol", {
    class: "captions",
    part: "captions",
    role: "log",
    "aria-live": "off",
    "aria-label": "Captions",
    tabindex: "0",
  });
  const input = node("input", {
    type: "text",
    name: "message",
    maxlength: "2000",
    autocomplete: "off",
    enterkeyhint: "send",
    placeholder: "Type instead of speaking",
    "aria-label": "Type instead of speaking",
  });
  const send = node("button", { type: "submit", class: "send", "aria-label": "Send" }, icon("send"));
  const form = node("form", { class: "type", part: "text-form" }, [input, send]);
  return { captions, form, input, send };
}

function button(part, iconName, label, attributes = {}) {
  const text = node("span", { class: "label" }, label);
  return node("button", { type: "button", part, ...attributes }, [icon(iconName), text]);
}

export function relabel(control, iconName, label) {
  control.querySelector("svg").replaceWith(icon(iconName));
  control.querySelector(".label").textContent = label;
}

function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  for (const d of ICONS[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

export function node(name, attributes = {}, children = []) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...(Array.isArray(children) ? children : [children]));
  return made;
}
