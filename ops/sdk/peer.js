// One peer connection, from offer to loss. A lost one is never mended: the next is a new Peer.

export const GATHERING_MS_MAX = 2_000;
export const OPENING_MS_MAX = 10_000;
export const HEARTBEAT_MS = 1_000;
// A worker that has said nothing for this long is taken for lost.
export const SILENCE_MS_MAX = 5_000;
export const TEXT_CHARS_MAX = 2_000;
const WATCH_MS = 500;

export class PeerLost extends Error {}

export class Peer {
  #connection;
  #channel;
  #audio;
  #video;
  #watch = null;
  #heardAt = 0;
  #beatAt = 0;
  #reportLoss;
  #onMessage;

  // `lost` resolves once with a word for the log when this connection can no longer be used.
  constructor({ iceServers, microphone, camera, onMessage, onStream }) {
    this.#onMessage = onMessage;
    this.#connection = new RTCPeerConnection({ iceServers });
    this.#channel = this.#connection.createDataChannel("vivavoce", { ordered: true });
    // Both directions are negotiated from the start, so that a microphone or camera that comes later is put
    // in without a new connection.
    this.#audio = this.#connection.addTransceiver(microphone ?? "audio", { direction: "sendrecv" });
    this.#video = this.#connection.addTransceiver(camera ?? "video", { direction: "sendrecv" });
    this.lost = new Promise((resolve) => {
      this.#reportLoss = resolve;
    });
    const received = new MediaStream();
    this.#connection.addEventListener("track", ({ track }) => {
      received.addTrack(track);
      onStream(received);
    });
    this.#connection.addEventListener("connectionstatechange", () => {
      if (["failed", "closed"].includes(this.#connection.connectionState)) this.#lose("connection failed");
    });
    this.#channel.addEventListener("close", () => this.#lose("channel closed"));
    this.#channel.addEventListener("message", ({ data }) => this.#receive(data));
  }

  // `exchange` takes the SDP of the offer and gives that of the answer. Resolves when messages can be sent;
  // rejects with PeerLost when that takes too long, and with whatever `exchange` rejects with.
  async open(exchange) {
    await this.#connection.setLocalDescription(await this.#connection.createOffer());
    await this.#gathered();
    const sdp = await exchange(this.#connection.localDescription.sdp);
    if (this.#connection.signalingState === "closed") throw new PeerLost("closed while opening");
    await this.#connection.setRemoteDescription({ type: "answer", sdp });
    await this.#opened();
    this.#heardAt = performance.now();
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
    this.#look();
  }

  get usable() {
    return this.#channel.readyState === "open";
  }

  send(message) {
    if (!this.usable) return false;
    this.#channel.send(JSON.stringify(message));
    return true;
  }

  async setMicrophone(track) {
    await this.#audio.sender.replaceTrack(track);
  }

  async setCamera(track) {
    await this.#video.sender.replaceTrack(track);
  }

  close() {
    clearInterval(this.#watch);
    this.#connection.close();
    this.#lose("closed");
  }

  #lose(why) {
    clearInterval(this.#watch);
    this.#reportLoss(why);
  }

  #look() {
    const now = performance.now();
    if (now - this.#heardAt > SILENCE_MS_MAX) {
      this.#lose("no heartbeat");
      return;
    }
    if (now - this.#beatAt >= HEARTBEAT_MS - WATCH_MS / 2) {
      this.#beatAt = now;
      this.send({ type: "heartbeat" });
    }
  }

  #receive(data) {
    this.#heardAt = performance.now();
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      console.warn("vivavoce-call: a message that is not JSON was ignored");
      return;
    }
    if (message.type !== "heartbeat") this.#onMessage(message);
  }

  // Candidates travel inside the offer. An interface that never answers must not hold the call up.
  async #gathered() {
    if (this.#connection.iceGatheringState === "complete") return;
    await new Promise((resolve) => {
      const limit = setTimeout(resolve, GATHERING_MS_MAX);
      this.#connection.addEventListener("icegatheringstatechange", () => {
        if (this.#connection.iceGatheringState !== "complete") return;
        clearTimeout(limit);
        resolve();
      });
    });
  }

  async #opened() {
    if (this.usable) return;
    let limit;
    const opened = new Promise((resolve, reject) => {
      this.#channel.addEventListener("open", resolve, { once: true });
      limit = setTimeout(() => reject(new PeerLost("no connection in time")), OPENING_MS_MAX);
    });
    const lost = this.lost.then((why) => {
      throw new PeerLost(why);
    });
    try {
      await Promise.race([opened, lost]);
    } finally {
      clearTimeout(limit);
      lost.catch(() => {});
    }
  }
}
