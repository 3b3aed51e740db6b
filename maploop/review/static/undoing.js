/**
 * Undo: the last act first, whatever tile it was on. An act is a decision, or the word that nothing is missing on a tile.
 * The tile is shown, what was undone is said, and a finished tile is open again.
 */

import { VERDICT_WORDS } from "./panel.js";

/** @typedef {import("./types.js").Act} Act */

export class Undoing {
  /** @param {import("./review.js").Review} review */
  constructor(review) {
    this.review = review;
    this.last = Promise.resolve();
    this.isUnderWay = false;
  }

  /** Take the last act back; one undo after another. */
  undo() {
    this.last = this.last.catch(() => {}).then(() => this.#undoLast());
    return this.last;
  }

  async #undoLast() {
    const { history, configuration, desk } = this.review;
    this.isUnderWay = true;
    try {
      let act = history.last(this.#audit());
      while (act) {
        const isElsewhere = act.tile !== desk.tile?.address;
        if (!(await this.#goTo(act.tile))) break;
        history.forget(act);
        if (act.act === "complete" ? this.#reopen() : this.#undo(act, isElsewhere)) return;
        act = history.last(this.#audit()); // that one did not stand any more
      }
      if (act) return; // its tile could not be opened: the map says why
      if (configuration.audit !== null) this.review.notices.say("Nothing on this tile is left to undo; a finished tile of a spot check stays as it was decided.");
      else await this.#undoLatest(desk);
    } finally {
      this.isUnderWay = false;
    }
  }

  #audit() {
    return this.review.configuration.audit === null ? null : this.review.tile?.audit;
  }

  /** Show the tile. @param {string} address @returns {Promise<boolean>} whether it is there */
  async #goTo(address) {
    const { desk } = this.review;
    if (desk.tile?.address === address) return true;
    await desk.open({ tile: address, isUndo: true });
    return desk.tile?.address === address;
  }

  /** @param {Act} done @param {boolean} isElsewhere  its tile was brought for it @returns {boolean} */
  #undo(done, isElsewhere) {
    const { tile, outbox, layers } = this.review;
    const className = tile.features.get(done.feature)?.class;
    const entry = tile.undo(done, this.review.seconds());
    if (!entry) return false;
    outbox.put(entry);
    const feature = tile.features.get(done.feature);
    if (feature) layers.put(feature, tile.isOfInterest(feature));
    else layers.remove(done.feature);
    this.#undone(tile, className, feature, isElsewhere);
    this.review.select(feature ? feature.id : tile.currentId);
    return true;
  }

  /** A tile that was finished by mistake. @returns {boolean} */
  #reopen() {
    const { tile, outbox } = this.review;
    if (!this.review.reopened(tile)) return false;
    outbox.put({ type: "tile", act: "reopen", tile: tile.address, seconds: 0, audit: null });
    this.#say(`Undone: tile ${tile.address} is open again. The next undo takes back the last decision.`);
    this.review.select(this.review.history.lastFeatureOn(tile) ?? tile.nextOpen());
    return true;
  }

  /** This tab remembers nothing more: the server knows what was done last, here or elsewhere. */
  async #undoLatest(desk) {
    const before = desk.tile?.address;
    const latest = await desk.openLatest();
    if (!latest) return;
    const { tile, outbox } = this.review;
    if (latest.act === "complete") {
      this.#reopen();
      return;
    }
    const className = tile.features.get(latest.feature)?.class;
    const entry = tile.undo({ decision: latest.id, feature: latest.feature, before: { verdict: null } }, this.review.seconds());
    if (!entry) return;
    outbox.put(entry);
    tile.currentId = latest.feature;
    const isReopened = this.review.reopened(tile);
    await desk.refresh(); // how it stood before, only the server knows
    const feature = this.review.tile?.features.get(latest.feature);
    this.#undone(tile, className, feature, tile.address !== before, isReopened);
    this.review.select(feature ? feature.id : null);
  }

  #undone(tile, className, feature, isElsewhere, isReopened = this.review.reopened(tile)) {
    const state = feature ? (VERDICT_WORDS[feature.verdict] ?? "undecided") : "gone";
    const open = isReopened ? ` Tile ${tile.address} is open again.` : "";
    this.#say(`Undone${isElsewhere ? ` on tile ${tile.address}` : ""}: ${className} is ${state} again.${open}`);
  }

  #say(text) {
    this.review.notices.say(text);
  }
}
