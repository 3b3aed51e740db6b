/** Requests to the app's own routes, with a token that is renewed in time. */

const TIMEOUT_MS = 20_000;
const PAGE_ANSWERS_MS = 6_000;

/** An answer other than 200, or none at all (`status` 0). */
export class ApiError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  /** Trying again may help without anybody doing anything. */
  get passes() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export class Api {
  /**
   * @param {Record<string, string>} addresses
   * @param {() => void} askPage  makes the page hand out a new token through `accept`
   */
  constructor(addresses, askPage) {
    this.addresses = addresses;
    this.askPage = askPage;
    this.token = "";
    this.tileToken = "";
    this.renewAt = Infinity;
    this.waiting = [];
    this.renewing = null;
  }

  /** Take tokens from the page: one decides, one stands in the addresses of tiles. @param {{token: string, tileToken: string}} tokens @param {number} expiresIn seconds */
  accept({ token, tileToken }, expiresIn) {
    this.token = token;
    this.tileToken = tileToken;
    this.renewAt = Date.now() + expiresIn * 500;
    for (const resolve of this.waiting.splice(0)) resolve(true);
  }

  /**
   * POST JSON, get JSON. Throws ApiError.
   * @param {"open" | "outbox" | "token"} name
   * @param {object} body
   * @param {{keepalive?: boolean}} [options]
   */
  async post(name, body, options = {}) {
    if (name !== "token" && Date.now() > this.renewAt) this.renew();
    try {
      return await this.#send(name, body, options);
    } catch (error) {
      if (error.status !== 401 || name === "token" || options.keepalive || !(await this.#newToken())) throw error;
      return this.#send(name, body, options);
    }
  }

  /** Ask for a fresh token while this one still holds; a failure is tried again with a later request. */
  renew() {
    this.renewing ??= this.post("token", {})
      .then((answer) => this.accept(answer, answer.expiresIn))
      .catch(() => {})
      .finally(() => {
        this.renewing = null;
      });
    return this.renewing;
  }

  /** Get a token that holds: renewed, or else from the page. */
  async freshen() {
    const before = this.token;
    await this.renew();
    if (this.token === before) await this.#newToken();
  }

  /** The token no longer holds: only the page can give another. True when it did. */
  #newToken() {
    const answered = new Promise((resolve) => {
      this.waiting.push(resolve);
      setTimeout(resolve, PAGE_ANSWERS_MS, false);
    });
    this.askPage();
    return answered;
  }

  async #send(name, body, { keepalive = false }) {
    let answer;
    try {
      answer = await fetch(this.addresses[name], {
        method: "POST",
        headers: { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" },
        body: JSON.stringify(body),
        keepalive,
        priority: "high",
        signal: keepalive ? undefined : AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch {
      throw new ApiError(0, "The server does not answer.");
    }
    const content = await answer.json().catch(() => null);
    if (answer.ok && content !== null) return content;
    throw new ApiError(answer.ok ? 0 : answer.status, content?.error ?? `The server answered ${answer.status}.`);
  }
}
