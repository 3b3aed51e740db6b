/** Whether the pixels of the tile under review are there: shown, on their way, or not coming, and then why. */

const RENEW_MS = 30_000; // a token is renewed no more often than this
const PATIENCE_MS = 4000; // pixels that are not there by then count as not coming

/** @typedef {{kind: "shown" | "coming" | "missing", text: string}} ImageryState  `text`: why it is missing */

export class ImageryWatch {
  /**
   * @param {import("./view.js").View} view
   * @param {{changed: () => void, renewToken: () => Promise<void>}} tell
   */
  constructor(view, tell) {
    Object.assign(this, { view, tell });
    /** @type {import("./types.js").Deck | null} */
    this.deck = null;
    this.renewedAt = -Infinity;
    view.store.isAskedFor = (key) => this.#isOfTile(key);
    view.store.changed = (key) => this.#isOfTile(key) && this.#look();
    window.addEventListener("online", () => this.state.kind === "missing" && this.retry());
  }

  /** Watch over another tile. @param {import("./types.js").Deck | null} deck */
  watch(deck) {
    if (deck?.tile.address !== this.deck?.tile.address) this.since = performance.now();
    this.deck = deck;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#look(), PATIENCE_MS + 100);
    this.#look();
  }

  /** @returns {ImageryState} */
  get state() {
    if (!this.deck) return { kind: "shown", text: "" };
    if (!this.deck.imagery) return { kind: "missing", text: "No imagery covers this tile." };
    const images = this.view.shownKeys().filter((key) => this.#isOfTile(key)).map((key) => this.view.store.look(key));
    const trouble = images.find((each) => each.trouble)?.trouble;
    if (trouble) return { kind: "missing", text: trouble.text };
    if (images.length && images.every((each) => each.isReady)) return { kind: "shown", text: "" };
    const isLate = performance.now() - this.since > PATIENCE_MS;
    return isLate ? { kind: "missing", text: "It has not come yet." } : { kind: "coming", text: "" };
  }

  /** Ask for the pixels again, with a token that holds. */
  async retry() {
    if (this.view.store.isRefusedToken) {
      this.renewedAt = performance.now();
      await this.tell.renewToken();
    }
    this.since = performance.now();
    this.view.reloadImagery();
    this.watch(this.deck);
  }

  #look() {
    const { state } = this;
    if (state.kind === "missing" && this.view.store.isRefusedToken && performance.now() - this.renewedAt > RENEW_MS) {
      this.retry(); // somebody looked at one tile for longer than a token holds
      return;
    }
    const told = `${this.deck?.tile.address} ${state.kind} ${state.text}`;
    if (told === this.told) return;
    this.told = told;
    this.tell.changed();
  }

  /** Whether an image shows some of the tile under review. @param {string} key  imagery/z/x/y */
  #isOfTile(key) {
    if (!this.deck?.imagery) return false;
    const [imagery, z, x, y] = key.split("/").map(Number);
    const [zoom, column, row] = this.deck.tile.address.split("/").map(Number);
    if (imagery !== this.deck.imagery.id) return false;
    const [finer, coarser] = [2 ** Math.max(z - zoom, 0), 2 ** Math.max(zoom - z, 0)];
    const isOver = (one, other) => Math.floor(one / finer) === Math.floor(other / coarser);
    return isOver(x, column) && isOver(y, row);
  }
}

