// <vivavoce-call conversation-id="…" join-token="…"> : a conversation, face to face, in one element.
//
// Attributes
//   conversation-id, join-token   of POST /v1/conversations; the call begins when both are there
//   api-base                      where the API is; the page's own origin where it is not given
//   persona-name                  whose captions these are ("Persona" where it is not given)
//   raw-audio                     no echo cancellation, noise suppression or gain control
// Events (bubbling)
//   vivavoce-state  {state}       connecting, listening, thinking, speaking, reconnecting, ended
//   vivavoce-ended  {reason}      once, after which the element can be taken away
// Methods
//   hangUp()
// Looks: the custom properties at the top of vivavoce-call.css, and the parts video, self-view, status,
// notice, controls, mute, camera, hang-up, captions, text-form.

import { Captions } from "./captions.js";
import { CallConnection } from "./connection.js";
import { DeviceError, openCamera, openMicrophone } from "./devices.js";
import { STATE_WORDS, buildView, relabel } from "./view.js";

// A prompt that is open for longer than this is waiting for a person.
const PROMPT_MS = 700;
const STYLESHEET = new URL("./vivavoce-call.css", import.meta.url).href;

export class VivavoceCall extends HTMLElement {
  static observedAttributes = ["conversation-id", "join-token"];

  #view;
  #captions;
  #call = null;
  #microphone = null;
  #camera = null;
  #muted = false;
  #listeners = new AbortController();

  constructor() {
    super();
    this.#view = buildView(this.attachShadow({ mode: "open", delegatesFocus: false }), STYLESHEET);
    this.#captions = new Captions(this.#view.captions, () => this.#personaName);
    this.#listenToControls();
  }

  connectedCallback() {
    this.#view.call.setAttribute("aria-label", `Conversation with ${this.#personaName}`);
    this.#beginWhenTold();
  }

  // Frameworks set attributes before or after they put the element into the page.
  attributeChangedCallback() {
    this.#beginWhenTold();
  }

  #beginWhenTold() {
    const [conversationId, joinToken] = [this.getAttribute("conversation-id"), this.getAttribute("join-token")];
    if (this.#call || !this.isConnected) return;
    if (!conversationId || !joinToken) {
      this.#say("This call has no conversation to join: it needs conversation-id and join-token.");
      return;
    }
    this.#hush();
    // Leaving the page is hanging up: the other side need not wait for somebody who is gone.
    addEventListener("pagehide", () => void this.hangUp(), { signal: this.#listeners.signal });
    this.#call = new CallConnection({
      apiBase: this.getAttribute("api-base") ?? "",
      conversationId,
      joinToken,
    });
    this.#listenToCall(this.#call);
    void this.#begin(this.#call);
  }

  disconnectedCallback() {
    // An element that is only moved is connected again before this runs.
    queueMicrotask(() => {
      if (!this.isConnected) void this.hangUp();
    });
  }

  async hangUp() {
    await this.#call?.hangUp();
  }

  get #personaName() {
    return this.getAttribute("persona-name") || "Persona";
  }

  // The token is redeemed first: it is good for a minute, and a permission prompt may stay open for longer.
  async #begin(call) {
    if (!(await call.join())) return;
    const goingOn = this.#offerToGoOn();
    await Promise.race([this.#askForMicrophone(), goingOn.chosen]);
    clearTimeout(goingOn.timer);
    if (!call.over) await call.run();
  }

  async #askForMicrophone() {
    try {
      const track = await openMicrophone({ raw: this.hasAttribute("raw-audio") });
      if (this.#call.over) {
        track.stop();
        return;
      }
      this.#hush();
      this.#useMicrophone(track);
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      this.#useMicrophone(null);
      if (!this.#call.over) this.#say(error.message, "Try again", () => void this.#askForMicrophone());
    }
  }

  // `chosen` resolves when the person goes on while the browser's prompt is still open. A permission that was
  // given before is answered at once, and then nothing need be said.
  #offerToGoOn() {
    let timer;
    const chosen = new Promise((resolve) => {
      timer = setTimeout(() => {
        this.#say("Your browser asks whether this page may use the microphone.", "Go on without", () => {
          this.#hush();
          resolve();
        });
      }, PROMPT_MS);
    });
    return { chosen, timer };
  }

  #useMicrophone(track) {
    this.#microphone = track;
    if (track) {
      track.enabled = !this.#muted;
      track.addEventListener("ended", () => {
        this.#useMicrophone(null);
        const sentence = "The microphone was disconnected. Connect it again, or type.";
        this.#say(sentence, "Try again", () => void this.#askForMicrophone());
      });
    }
    void this.#call.setMicrophone(track);
    this.#showMute();
  }

  #listenToControls() {
    const { mute, camera, hangUp, form, input, soundOn, video } = this.#view;
    mute.addEventListener("click", () => this.#toggleMute());
    camera.addEventListener("click", () => void this.#toggleCamera());
    hangUp.addEventListener("click", () => void this.hangUp());
    soundOn.addEventListener("click", () => void this.#play());
    video.addEventListener("playing", () => this.#view.call.toggleAttribute("data-pictured", true));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = input.value.trim();
      if (!text) return;
      if (this.#call?.sendText(text)) input.value = "";
      else this.#say("There is no connection just now. Your words are kept; send them again in a moment.");
    });
  }

  #listenToCall(call) {
    const { signal } = this.#listeners;
    const on = (type, act) => call.addEventListener(type, ({ detail }) => act(detail), { signal });
    on("state", ({ state, sentence }) => this.#show(state, sentence));
    on("connected", () => this.#hushTrouble());
    on("stream", ({ stream }) => {
      this.#view.video.srcObject = stream;
      void this.#play();
    });
    on("message", (message) => {
      if (message.type === "caption") this.#captions.show(message);
      else if (message.type === "interrupted") this.#captions.interrupt(message);
    });
    on("ended", (detail) => this.#finish(detail));
  }

  async #play() {
    try {
      await this.#view.video.play();
      this.#view.soundOn.hidden = true;
    } catch (error) {
      // The browser wants a gesture before it lets a page make a sound; AbortError only says that a newer
      // stream came meanwhile.
      if (error.name === "NotAllowedError") this.#view.soundOn.hidden = false;
      else if (error.name !== "AbortError") throw error;
    }
  }

  #toggleMute() {
    if (!this.#microphone) {
      void this.#askForMicrophone();
      return;
    }
    this.#muted = !this.#muted;
    this.#microphone.enabled = !this.#muted;
    this.#showMute();
  }

  #showMute() {
    const { mute } = this.#view;
    const off = this.#muted || !this.#microphone;
    mute.setAttribute("aria-pressed", String(off));
    const label = this.#microphone ? (this.#muted ? "Unmute" : "Mute") : "Use microphone";
    relabel(mute, off ? "muted" : "microphone", label);
  }

  async #toggleCamera() {
    const { camera, selfView, selfNote } = this.#view;
    if (this.#camera) {
      this.#camera.stop();
      this.#camera = null;
    } else {
      camera.disabled = true;
      try {
        this.#camera = await openCamera();
      } catch (error) {
        if (!(error instanceof DeviceError)) throw error;
        this.#say(error.message, "Close", () => this.#hush());
        return;
      } finally {
        camera.disabled = false;
      }
    }
    if (this.#call.over) this.#camera?.stop();
    else await this.#call.setCamera(this.#camera);
    camera.setAttribute("aria-pressed", String(this.#camera !== null));
    relabel(camera, "camera", this.#camera ? "Camera off" : "Camera");
    selfView.srcObject = this.#camera ? new MediaStream([this.#camera]) : null;
    selfView.hidden = selfNote.hidden = !this.#camera;
  }

  #show(state, sentence) {
    const { call, statusText } = this.#view;
    if (call.dataset.state === state && !sentence) return;
    call.dataset.state = state;
    // The picture of a connection that is gone is black; the next one says when it plays.
    if (state === "reconnecting") call.removeAttribute("data-pictured");
    statusText.textContent = sentence ?? STATE_WORDS[state] ?? state;
    this.setAttribute("state", state);
    this.dispatchEvent(new CustomEvent("vivavoce-state", { detail: { state }, bubbles: true, composed: true }));
  }

  #finish(detail) {
    for (const track of [this.#microphone, this.#camera]) track?.stop();
    const { mute, camera, hangUp, input, send, selfView } = this.#view;
    for (const control of [mute, camera, hangUp, input, send]) control.disabled = true;
    selfView.hidden = true;
    this.#hush();
    this.#listeners.abort();
    this.dispatchEvent(new CustomEvent("vivavoce-ended", { detail, bubbles: true, composed: true }));
  }

  #say(sentence, action = null, act = null) {
    const { box, text, action: control } = this.#view.notice;
    text.textContent = sentence;
    control.hidden = action === null;
    control.textContent = action ?? "";
    control.onclick = act;
    box.hidden = false;
  }

  #hush() {
    this.#view.notice.box.hidden = true;
  }

  // A sentence that only spoke of the connection is out of date once there is one.
  #hushTrouble() {
    if (this.#view.notice.action.hidden) this.#hush();
  }
}

customElements.define("vivavoce-call", VivavoceCall);
