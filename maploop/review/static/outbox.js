/**
 * What people did, on its way to the server: kept until the server says it is on disk, sent in order, sent again after
 * anything that goes wrong. Entries that the server refused stay until somebody retries or discards them.
 */

import { newId } from "./dom.js";
import { Shelf } from "./shelf.js";

const BATCH = 200;
const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 15_000;
const FAILS_ALONE = 3; // times that an entry sent alone makes the server fail before it is set aside

/**
 * @typedef {import("./types.js").Entry} Entry
 * @typedef {{id: string, code: string, message: string, feature: import("./types.js").Feature | null}} Refusal
 * @typedef {{entry: Entry, key: string, refusal: Refusal | null, isAdopted: boolean}} Item  `isAdopted`: left by another tab
 */

export class Outbox {
  /**
   * @param {import("./api.js").Api} api
   * @param {string} owner
   * @param {{changed: () => void, stored: (items: Item[], answer: object) => void, refused: (items: Item[]) => void}} tell
   */
  constructor(api, owner, tell) {
    this.api = api;
    this.tell = tell;
    this.shelf = new Shelf(owner);
    /** @type {Item[]} */
    this.items = [];
    this.sending = null;
    this.pauseMs = 0;
    this.timer = 0;
    this.problem = "";
    this.storedAt = Date.now();
    this.failing = { id: "", times: 0 };
  }

  /** Take over what earlier tabs left, and send it. Resolves after the first attempt: true when nothing is left. */
  async start() {
    window.addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
    await this.shelf.start((found) => {
      for (const { entry, refusal } of found) {
        if (!this.items.some((item) => item.entry.id === entry.id)) this.#keep(entry, refusal ?? null, true);
      }
      this.tell.changed();
      this.#schedule(0);
    });
    return this.settle();
  }

  /** Put an entry in; it leaves at once, behind those before it. @param {Omit<Entry, "id" | "madeAt">} content @returns {Entry} */
  put(content) {
    const entry = { id: newId(), madeAt: new Date().toISOString(), ...content };
    this.#keep(entry, null, false);
    this.tell.changed();
    this.#schedule(0);
    return entry;
  }

  /** More than one attempt has failed. */
  get isStuck() {
    return this.problem !== "" && this.pauseMs > FIRST_PAUSE_MS;
  }

  /** Entries the server has not answered yet. */
  get waiting() {
    return this.items.filter((item) => !item.refusal).map((item) => item.entry);
  }

  /** Items the server would not store. */
  get refused() {
    return this.items.filter((item) => item.refusal);
  }

  /** Tiles with something still to be sent. */
  get tiles() {
    return [...new Set(this.waiting.map((entry) => entry.tile))];
  }

  /** Everything that is not on the server's disk. */
  get unsaved() {
    return this.items.length;
  }

  /** Resolves true once nothing waits, false when an attempt failed. */
  async settle() {
    while (this.items.some((item) => !item.refusal)) {
      const whole = await this.#flush();
      if (!whole) return false;
    }
    return true;
  }

  /** Try now, whatever the pause. */
  hurry() {
    this.pauseMs = 0;
    this.#schedule(0);
  }

  /** Send a refused entry again; `standing` when its feature has moved on. @param {string} id @param {string | null} [standing] */
  retry(id, standing) {
    const item = this.items.find((each) => each.entry.id === id);
    if (!item) return;
    if (standing !== undefined) item.entry = { ...item.entry, standing };
    item.refusal = null;
    this.shelf.write(item.key, { entry: item.entry });
    this.tell.changed();
    this.hurry();
  }

  /** Forget a refused entry. @param {string} id */
  discard(id) {
    this.#remove((item) => item.entry.id === id);
    this.tell.changed();
  }

  /** Say that somebody is at work on a tile, which renews the claim; nothing is kept of it. @param {string} tile @param {number | null} audit */
  async active(tile, audit) {
    if (this.waiting.length) return;
    const entry = { type: "tile", id: newId(), tile, act: "active", seconds: 0, madeAt: new Date().toISOString(), audit };
    const answer = await this.api.post("outbox", { entries: [entry] }).catch(() => null);
    const refused = answer?.refused.map((refusal) => ({ entry, key: "", refusal })) ?? [];
    if (refused.length) this.tell.refused(refused);
  }

  /** Give tiles back while the page goes away. @param {string[]} tiles */
  release(tiles) {
    const entries = tiles.map((tile) => ({
      type: "tile", id: newId(), tile, act: "release", seconds: 0, madeAt: new Date().toISOString(), audit: null,
    }));
    if (entries.length) this.api.post("outbox", { entries }, { keepalive: true }).catch(() => {});
  }

  #keep(entry, refusal, isAdopted) {
    this.items.push({ entry, refusal, isAdopted, key: this.shelf.put(refusal ? { entry, refusal } : { entry }) });
  }

  #remove(matches) {
    this.items = this.items.filter((item) => {
      if (!matches(item)) return true;
      this.shelf.drop(item.key);
      return false;
    });
  }

  #schedule(delayMs) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#flush(), delayMs);
  }

  /** One request with what waits; true when it was answered. Only one is under way at any time. */
  #flush() {
    this.sending ??= this.#send().finally(() => {
      this.sending = null;
      if (this.waiting.length) this.#schedule(this.pauseMs);
    });
    return this.sending;
  }

  async #send() {
    const entries = this.waiting.slice(0, this.single ? 1 : BATCH);
    if (!entries.length) return true;
    try {
      const answer = await this.api.post("outbox", { entries });
      this.#accept(answer);
      return true;
    } catch (error) {
      return this.#fail(entries, error);
    }
  }

  #accept(answer) {
    const stored = new Set(answer.stored);
    const refusals = new Map(answer.refused.map((refusal) => [refusal.id, refusal]));
    const saved = this.items.filter((item) => stored.has(item.entry.id));
    this.#remove((item) => stored.has(item.entry.id));
    const refused = this.items.filter((item) => refusals.has(item.entry.id));
    for (const item of refused) {
      item.refusal = refusals.get(item.entry.id);
      this.shelf.write(item.key, { entry: item.entry, refusal: item.refusal });
    }
    this.pauseMs = 0;
    this.problem = "";
    this.single = false;
    this.storedAt = Date.now();
    this.tell.stored(saved, answer);
    if (refused.length) this.tell.refused(refused);
    this.tell.changed();
  }

  #fail(entries, error) {
    const isOurs = error.status >= 400 && error.status < 500 && ![401, 429].includes(error.status);
    const isBroken = error.status === 500; // not busy, not away: something in the request is more than the server can do
    if ((isOurs || isBroken) && entries.length > 1) {
      this.single = true; // find out which of them it is
      return true;
    }
    if (isOurs) {
      this.#setAside(entries[0], "invalid", error.message);
      return true;
    }
    if (isBroken && this.#timesFailed(entries[0]) >= FAILS_ALONE) {
      this.#setAside(entries[0], "failed", error.message);
      return true;
    }
    this.problem = error.message;
    this.pauseMs = Math.min(Math.max(this.pauseMs * 2, FIRST_PAUSE_MS), LONGEST_PAUSE_MS);
    this.tell.changed();
    return false;
  }

  /** How often in a row this entry, sent alone, has failed. @param {Entry} entry */
  #timesFailed({ id }) {
    this.failing = { id, times: this.failing.id === id ? this.failing.times + 1 : 1 };
    return this.failing.times;
  }

  /** Take an entry out of the way of those behind it; it stays until somebody retries or discards it. */
  #setAside({ id }, code, message) {
    this.#accept({ stored: [], refused: [{ id, code, message, feature: null }] });
  }
}
