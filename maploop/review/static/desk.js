/** Which tile is under review: opening, the next one ahead of need, finishing, going back, and holding on to claims. */

import { TileUnderReview, wantedVerdict } from "./tile.js";

const FRESH = 0.85; // of a lease: a tile fetched ahead longer ago than that may be somebody else's by now
const RETRY_MS = [1000, 2000, 4000, 8000, 15_000];
const MOST_HELD = 500;
const PAGES = { import: "Import imagery", quality: "To the spot checks" };

/** @typedef {{tile: TileUnderReview, at: number}} Waiting  a tile claimed ahead, and when */

export class Desk {
  /**
   * @param {import("./api.js").Api} api
   * @param {import("./outbox.js").Outbox} outbox
   * @param {import("./view.js").View} view
   * @param {string} owner
   * @param {{show: (tile: TileUnderReview, how: object) => void, cover: (content: object | null) => void,
   *          ahead: (address: string) => void, say: (text: string) => void, isUnfinished: (tile: TileUnderReview) => boolean, progress: (progress: import("./types.js").Progress) => void, clearFilter: () => void,
   *          visit: (page: "import" | "quality") => void}} tell
   */
  constructor(api, outbox, view, owner, tell) {
    Object.assign(this, { api, outbox, view, tell });
    this.lockPrefix = `maploop/tile/${encodeURIComponent(owner)}/`;
    this.locks = new Map();
    /** @type {TileUnderReview | null} */
    this.tile = null;
    /** @type {Waiting[]} */
    this.waiting = [];
    this.left = new Set();
    this.seen = new Set(); // looking for a verdict: a tile goes on to fit after it was looked at
    this.turn = 0;
    this.checked = 0;
    this.options = null;
  }

  /** @param {{order: string, randomShare: number, filter: object, stepping: string, audit: number | null}} options */
  use(options) {
    if (this.options?.audit !== options.audit) this.checked = 0;
    this.options = options;
  }

  /**
   * Open a tile: the one asked for, the one finished before `back`, or what the queue says.
   * @param {{tile?: string | null, back?: string | null, isRefresh?: boolean, isUndo?: boolean}} [wanted]  `isUndo`: this
   *   tile waits meanwhile, and nothing is decided before the other is there
   */
  async open({ tile = null, back = null, isRefresh = false, isUndo = false } = {}, attempt = 0) {
    this.turn += 1;
    const turn = this.turn;
    clearTimeout(this.retrying);
    clearTimeout(this.covering);
    if (isUndo) this.tell.cover({ kind: "loading", title: `Back to tile ${tile}`, text: "" });
    else if (!isRefresh && attempt === 0) this.#coverSoon();
    await this.outbox.settle(); // what was decided counts before the next question
    const answer = await this.#ask({ tile, back, ahead: false }).catch((error) => ({ error }));
    if (turn !== this.turn) return;
    clearTimeout(this.covering);
    if (answer.error) this.#failed({ tile, back, isRefresh }, answer.error, attempt);
    else if (answer.deck) this.#opened(answer.deck, { back, isRefresh, isUndo });
    else if (back) this.tell.show(this.tile, { message: answer.nothing.reason });
    else if (this.left.size) this.#takeUpWhatWasLeft();
    else this.#nothing(answer.nothing);
  }

  /** Open the tile of the latest act that the server knows of; answers that act, null when there is none to undo. */
  async openLatest() {
    this.turn += 1;
    const turn = this.turn;
    this.tell.cover({ kind: "loading", title: "Looking for what you did last", text: "" });
    await this.outbox.settle();
    const answer = await this.#ask({ tile: null, back: null, ahead: false, latest: true }).catch((error) => ({ error }));
    if (turn !== this.turn) return null;
    if (answer.deck) this.#opened(answer.deck, { isUndo: true });
    else if (this.tile) this.tell.cover(null);
    if (answer.error) this.tell.say(`Nothing was undone: ${answer.error.message}`);
    else if (answer.nothing) this.tell.say(answer.nothing.reason);
    if (!this.tile) this.open();
    return answer.latest ?? null;
  }

  /** Say "nothing missing", and go on to the next tile. @param {number} seconds */
  finish(seconds) {
    const { tile } = this;
    if (wantedVerdict(this.options.filter) !== null) this.seen.add(tile.address);
    if (tile.deck.audit) this.checked = tile.deck.audit.done + 1;
    if (tile.isFinished) this.outbox.release([tile.address]);
    else this.outbox.put({ type: "tile", act: "complete", tile: tile.address, seconds, audit: tile.audit });
    this.#next();
  }

  /** Leave the tile unfinished and take another. */
  skip() {
    this.left.add(this.tile.address);
    if (this.tile.audit === null) this.outbox.put({ type: "tile", act: "release", tile: this.tile.address, seconds: 0, audit: null });
    this.#next();
  }

  /** Into the tile finished before this one; this one waits meanwhile. */
  goBack() {
    return this.open({ back: this.tile?.address ?? "0/0/0" });
  }

  /** The current tile as the server has it now. */
  refresh() {
    return this.tile ? this.open({ tile: this.tile.address, isRefresh: true }) : undefined;
  }

  /** Order or filter have changed: what was fetched ahead may not fit any more. */
  reconsider() {
    this.giveBack();
    this.left.clear();
    this.seen.clear();
    if (this.tile) this.#fetchAhead();
    else this.open();
  }

  /** Give back what nobody has worked on. @param {{all?: boolean}} [which]  with `all` the current tile too */
  giveBack({ all = false } = {}) {
    const pending = new Set(this.outbox.tiles);
    const unused = [...this.waiting.map((each) => each.tile), ...(all && this.tile ? [this.tile] : [])];
    const isFree = (tile) => tile.audit === null && !tile.touched.size && !pending.has(tile.address) && !tile.deck.claim.wasHeld && !this.tell.isUnfinished(tile);
    const addresses = unused.filter(isFree);
    this.waiting = [];
    for (const tile of unused) if (tile !== this.tile) this.#unlock(tile.address);
    this.outbox.release(addresses.map((tile) => tile.address));
  }

  /** Somebody else holds the tile now. @param {string} address @param {string} message */
  lost(address, message) {
    this.waiting = this.waiting.filter((each) => each.tile.address !== address);
    if (this.tile?.address !== address) return;
    this.#leaveCurrent();
    this.tell.cover({
      kind: "error", title: "This tile is somebody else's now", text: message,
      actions: [{ label: "Next tile", act: () => this.#next() }],
    });
  }

  /** Somebody is at work: keep the claims on what waits. */
  async keepWaiting() {
    for (const each of this.waiting) {
      const lease = each.tile.deck.claim.seconds * 1000;
      if (each.tile.audit !== null || Date.now() - each.at < lease / 2) continue;
      each.at = Date.now();
      const answer = await this.#ask({ tile: each.tile.address, back: null, ahead: true }).catch((error) => ({ error }));
      if (answer.error && !answer.error.passes) this.waiting = this.waiting.filter((other) => other !== each);
      else if (answer.deck && !each.tile.touched.size) each.tile = this.#tileOf(answer.deck);
    }
  }

  #next() {
    const before = this.tile;
    this.#leaveCurrent();
    while (this.waiting.length) {
      const { tile, at } = this.waiting.shift();
      if (Date.now() - at > tile.deck.claim.seconds * 1000 * FRESH) continue;
      if (before) tile.carryOver(before);
      tile.arrange(this.options.stepping);
      this.#show(tile, {});
      return;
    }
    this.open();
  }

  #opened(deck, { back = null, isRefresh = false, isUndo = false }) {
    const before = this.tile;
    const tile = this.#tileOf(deck);
    if ((isRefresh || isUndo) && before?.address === tile.address) {
      tile.touched = before.touched;
      tile.currentId = tile.features.has(before.currentId) ? before.currentId : null;
    } else if (before && before.address !== tile.address) {
      if ((back || isUndo) && before.audit === null) {
        this.waiting.unshift({ tile: before, at: Date.now() });
        this.tile = null;
      }
      this.#leaveCurrent();
    }
    this.waiting = this.waiting.filter((each) => each.tile.address !== tile.address);
    this.left.delete(tile.address);
    this.tell.progress(deck.progress);
    this.#show(tile, { isBack: Boolean(back), isRefresh });
  }

  #show(tile, how) {
    this.turn += 1;
    clearTimeout(this.covering);
    this.tile = tile;
    const { audit } = tile.deck; // of a tile fetched ahead it counts without the one before
    if (audit) audit.done = Math.max(audit.done, this.checked);
    this.#lock(tile.address);
    this.tell.cover(null);
    this.tell.show(tile, how);
    this.#tellAhead();
    this.#fetchAhead();
  }

  async #fetchAhead() {
    if (this.waiting.length || this.fetching) return;
    const { options } = this;
    this.fetching = true;
    const answer = await this.#ask({ tile: null, back: null, ahead: true }).catch(() => ({ deck: null }));
    this.fetching = false;
    const { deck } = answer;
    if (!deck) return;
    const isWanted = options === this.options && this.tile && deck.tile.address !== this.tile.address;
    if (!isWanted) {
      if (deck.tile.address !== this.tile?.address && deck.audit === null && !deck.claim.wasHeld) this.outbox.release([deck.tile.address]);
      if (options !== this.options) this.#fetchAhead();
      return;
    }
    this.waiting.push({ tile: this.#tileOf(deck), at: Date.now() });
    this.#lock(deck.tile.address);
    this.#tellAhead();
    this.view.warm(deck);
  }

  #tellAhead() {
    this.tell.ahead(this.waiting[0]?.tile.address ?? "");
  }

  async #ask({ tile, back, ahead, latest = false }) {
    const { order, randomShare, filter, audit } = this.options;
    const here = [this.tile?.address, ...this.waiting.map((each) => each.tile.address), ...this.outbox.tiles];
    const elsewhere = tile || back ? [] : await this.#openElsewhere();
    const seen = [...this.seen].reverse(); // the latest first
    const holding = [...new Set([...here, ...elsewhere, ...this.left, ...seen])].filter(Boolean).slice(0, MOST_HELD);
    return this.api.post("open", { tile, back, latest, ahead, holding, order, randomShare, filter, audit });
  }

  #tileOf(deck) {
    const ours = [this.tile, ...this.waiting.map((each) => each.tile)].find((each) => each?.address === deck.tile.address);
    if (ours) deck.claim.wasHeld = ours.deck.claim.wasHeld;
    return new TileUnderReview(deck, this.options.stepping, this.options.filter);
  }

  #leaveCurrent() {
    const { tile } = this;
    this.tile = null;
    if (!tile) return;
    this.#unlock(tile.address);
  }

  #failed(wanted, error, attempt) {
    if (error.passes || error.status === 401) {
      const pause = RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)];
      const again = () => this.open(wanted, attempt + 1);
      this.retrying = setTimeout(again, pause);
      this.tell.cover({
        kind: "error", title: error.status ? "The server cannot answer now" : "No connection", text: `${error.message} Trying again by itself; what you decided is kept in this browser.`,
        actions: [{ label: "Try now", act: again }],
      });
      return;
    }
    const actions = [{ label: "Next tile", act: () => this.open() }, { label: "Try again", act: () => this.open(wanted) }];
    if (this.tile) actions.unshift({ label: "Stay here", act: () => this.tell.cover(null) });
    this.tell.cover({ kind: "error", title: wanted.tile ? `Tile ${wanted.tile}` : "The tile cannot be opened", text: error.message, actions });
  }

  #nothing({ reason, page }) {
    this.#leaveCurrent();
    this.tell.show(null, {});
    const again = () => {
      this.seen.clear();
      this.open();
    };
    const actions = [{ label: "Look again", act: again }];
    const why = this.seen.size ? "You have looked at every free tile that fits the filter." : reason;
    if (Object.values(this.options.filter).some((value) => value !== null)) actions.unshift({ label: "Clear the filter", act: () => this.tell.clearFilter() });
    if (page) actions.unshift({ label: PAGES[page], act: () => this.tell.visit(page) });
    if (this.options.audit === null) actions.push({ label: "Previous tile", act: () => this.goBack() });
    this.tell.cover({ kind: "empty", title: "Nothing left for you", text: why, actions });
  }

  #takeUpWhatWasLeft() {
    this.left.clear();
    this.open();
  }

  /** A tile that comes at once needs no cover: it would only flash. */
  #coverSoon() {
    this.covering = setTimeout(() => this.tell.cover({ kind: "loading", title: "Opening a tile", text: "" }), 250);
  }

  #lock(address) {
    if (!navigator.locks || this.locks.has(address)) return;
    const released = new Promise((resolve) => this.locks.set(address, resolve));
    navigator.locks.request(this.lockPrefix + address, { mode: "shared" }, () => released);
  }

  #unlock(address) {
    if (this.waiting.some((each) => each.tile.address === address)) return;
    this.locks.get(address)?.();
    this.locks.delete(address);
  }

  /** Tiles that other tabs of the same person have open: the queue would hand them out as already held. */
  async #openElsewhere() {
    if (!navigator.locks) return [];
    const { held } = await navigator.locks.query();
    const names = held.map((lock) => lock.name).filter((name) => name.startsWith(this.lockPrefix));
    return names.map((name) => name.slice(this.lockPrefix.length)).filter((address) => !this.locks.has(address));
  }
}
