// The participant's three requests: join, offer, leave. Failures become ApiError, whose message is a sentence.

export const REQUEST_MS_MAX = 10_000;
const RETRY_AFTER_S_DEFAULT = 1;
const RETRY_AFTER_S_MAX = 10;

export class ApiError extends Error {
  constructor(message, { status, code, retryAfterMs }) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  // Whether the same request may succeed later.
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export class ParticipantApi {
  #root;
  #credential = null;

  constructor(apiBase, conversationId) {
    this.#root = `${apiBase.replace(/\/+$/, "")}/v1/conversations/${encodeURIComponent(conversationId)}`;
  }

  // Trades the join token, which works once, for the credential of every later request. Returns ICE servers.
  async join(joinToken) {
    const joined = await this.#post("join", { join_token: joinToken });
    this.#credential = joined.resume_credential;
    return joined.ice_servers;
  }

  // Returns the SDP of the answer.
  async offer(sdp, signal) {
    return (await this.#post("offer", { type: "offer", sdp }, { signal })).sdp;
  }

  // `keepalive` lets the request outlive the page.
  async leave() {
    if (this.#credential) await this.#post("leave", undefined, { keepalive: true });
  }

  async #post(path, body, { signal, keepalive = false } = {}) {
    const limit = AbortSignal.timeout(REQUEST_MS_MAX);
    const headers = {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (this.#credential) headers.Authorization = `Bearer ${this.#credential}`;
    let response;
    try {
      response = await fetch(`${this.#root}/${path}`, {
        method: "POST",
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
        keepalive,
        credentials: "omit",
        cache: "no-store",
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError("The service cannot be reached.", { status: 0, code: "unreachable" });
    }
    if (response.ok) return response.json();
    throw await problemOf(response);
  }
}

async function problemOf(response) {
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // A proxy between us answers in its own way; the status says enough.
  }
  const seconds = Number(response.headers.get("Retry-After")) || RETRY_AFTER_S_DEFAULT;
  return new ApiError(problem.detail ?? `The service answered with status ${response.status}.`, {
    status: response.status,
    code: problem.code ?? "unknown",
    retryAfterMs: Math.min(seconds, RETRY_AFTER_S_MAX) * 1000,
  });
}
