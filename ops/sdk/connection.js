// The call as one thing, over as many peer connections as it takes: joins once, reconnects by itself,
// and ends with a sentence.

import { ApiError, ParticipantApi } from "./api.js";
import { Peer, PeerLost, TEXT_CHARS_MAX } from "./peer.js";

export const BACKOFF_MS_FIRST = 500;
export const BACKOFF_MS_MAX = 5_000;
export const RECONNECT_MS_MAX = 90_000;
export const WAIT_FOR_LINE_MS_MAX = 180_000;
// A connection that lasted this long starts the backoff anew; one that drops at once does not.
export const STABLE_MS = 3_000;
const HANG_UP_FLUSH_MS = 150;

const END_SENTENCES = {
  participant_hung_up: "You hung up.",
  record_unavailable: "The call ended because it could not be recorded any more.",
  participant_absent: "The conversation ended because nobody joined in time.",
  participant_left: "The conversation ended because the connection was away for too long.",
  idle: "The conversation ended because nobody spoke for a while.",
  max_call_duration: "The time for this conversation is over.",
  requested: "The conversation was ended by the organisation.",
  guardrail: "The conversation was ended under its rules.",
  no_media_worker: "The conversation ended because no line became free.",
};

// Events: `state` {state, sentence}, `message` (of the worker), `stream` {stream}, `ended` {reason, sentence}.
export class CallConnection extends EventTarget {
  #api;
  #joinToken;
  #iceServers = [];
  #peer = null;
  #microphone = null;
  #camera = null;
  #over = false;
  #abort = new AbortController();
  #wake = null;
  #attempt = 0;
  #troubleSince = null;
  #everConnected = false;

  constructor({ apiBase, conversationId, joinToken }) {
    super();
    this.#api = new ParticipantApi(apiBase, conversationId);
    this.#joinToken = joinToken;
    globalThis.addEventListener("online", () => this.#wake?.(), { signal: this.#abort.signal });
  }

  get over() {
    return this.#over;
  }

  // Redeems the token. Resolves to false when that is refused; the call is over then.
  async join() {
    this.#announce("connecting", "Connecting…");
    this.#troubleSince = performance.now();
    while (!this.#over) {
      try {
        this.#iceServers = await this.#api.join(this.#joinToken);
        return !this.#over;
      } catch (error) {
        if (!(await this.#mayGoOn(error))) return false;
      }
    }
    return false;
  }

  // Keeps the call connected until it is over.
  async run() {
    this.#troubleSince = performance.now();
    while (!this.#over) {
      const trouble = await this.#live();
      if (this.#over) return;
      if (trouble && !(await this.#mayGoOn(trouble))) return;
    }
  }

  // One peer connection from offer to loss. Returns what went wrong before it was open, or null.
  async #live() {
    try {
      await this.#connect();
      const since = performance.now();
      await this.#peer.lost;
      if (!this.#over) this.#announce("reconnecting", "The connection dropped. Reconnecting…");
      if (performance.now() - since < STABLE_MS) return new PeerLost("lost soon after it was open");
      this.#troubleSince = performance.now();
      this.#attempt = 0;
      return null;
    } catch (error) {
      return error;
    } finally {
      this.#dropPeer();
    }
  }

  async setMicrophone(track) {
    this.#microphone = track;
    await this.#peer?.setMicrophone(track);
  }

  async setCamera(track) {
    this.#camera = track;
    await this.#peer?.setCamera(track);
  }

  // False when it could not be sent just now.
  sendText(text) {
    return this.#peer?.send({ type: "text", text: text.slice(0, TEXT_CHARS_MAX) }) ?? false;
  }

  // Says so to the worker and to the API, whichever is reached.
  async hangUp() {
    if (this.#over) return;
    this.#peer?.send({ type: "hang_up" });
    this.#end("participant_hung_up");
    try {
      await this.#api.leave();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // The conversation ends by itself when the participant stays away.
    }
  }

  async #connect() {
    const peer = new Peer({
      iceServers: this.#iceServers,
      microphone: this.#microphone,
      camera: this.#camera,
      onMessage: (message) => this.#receive(message),
      onStream: (stream) => this.#emit("stream", { stream }),
    });
    this.#peer = peer;
    await peer.open((sdp) => this.#api.offer(sdp, this.#abort.signal));
    // A track may have changed while the offer was under way.
    await peer.setMicrophone(this.#microphone);
    await peer.setCamera(this.#camera);
    this.#everConnected = true;
    this.#emit("connected", {});
  }

  #receive(message) {
    if (this.#over) return;
    if (message.type === "state" && message.state === "ended") {
      this.#end(message.reason);
    } else if (message.type === "state") {
      this.#announce(message.state, null);
    } else {
      this.#emit("message", message);
    }
  }

  // Decides what a failure means, waits as long as it asks for, and says so. False when the call is over.
  async #mayGoOn(error) {
    if (this.#over) return false;
    if (error instanceof ApiError && !error.passing) {
      this.#end(null, error.message);
      return false;
    }
    if (!(error instanceof ApiError) && !(error instanceof PeerLost)) {
      this.#end(null, "The call could not be set up in this browser.");
      throw error;
    }
    const waitsForLine = error instanceof ApiError && error.status === 503;
    const limit = waitsForLine ? WAIT_FOR_LINE_MS_MAX : RECONNECT_MS_MAX;
    if (performance.now() - this.#troubleSince > limit) {
      const what = waitsForLine ? "No line became free" : "The connection could not be restored";
      this.#end(null, `${what}. Please start the conversation again.`);
      return false;
    }
    this.#attempt += 1;
    const state = this.#everConnected ? "reconnecting" : "connecting";
    this.#announce(state, waitsForLine ? "Waiting for a free line…" : this.#troubleSentence());
    await this.#pause(waitsForLine ? error.retryAfterMs : this.#backoffMs());
    return !this.#over;
  }

  #troubleSentence() {
    if (navigator.onLine === false) return "This device is offline. The call goes on when it is back.";
    const what = this.#everConnected ? "Reconnecting" : "No connection yet. Trying again";
    return `${what} (attempt ${this.#attempt})…`;
  }

  // Spread by a fifth, so that the callers of a failed worker do not all come back at one moment.
  #backoffMs() {
    const exact = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_FIRST * 2 ** (this.#attempt - 1));
    return exact * (0.8 + 0.4 * Math.random());
  }

  async #pause(ms) {
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }

  #end(reason, sentence = END_SENTENCES[reason] ?? "The conversation has ended.") {
    if (this.#over) return;
    this.#over = true;
    this.#announce("ended", sentence);
    this.#emit("ended", { reason, sentence });
    this.#wake?.();
    this.#abort.abort();
    // The last message must leave before the transport is torn down.
    const peer = this.#peer;
    setTimeout(() => peer?.close(), HANG_UP_FLUSH_MS);
  }

  #dropPeer() {
    if (this.#over) return;
    this.#peer?.close();
    this.#peer = null;
  }

  #announce(state, sentence) {
    this.#emit("state", { state, sentence });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
