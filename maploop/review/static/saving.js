/** What the outbox has to say: what is stored, what was refused and why, and what to do about it. */

import { showUnsaved } from "./dialogs.js";
import { plural } from "./dom.js";

export class Saving {
  /** @param {import("./review.js").Review} review */
  constructor(review) {
    this.review = review;
    this.redrawUnsaved = null;
  }

  /** Something was put in, stored or refused. */
  changed() {
    const { outbox, panel, frame } = this.review;
    panel.showSaving({ unsaved: outbox.unsaved, refused: outbox.refused.length, problem: outbox.problem, isKept: outbox.shelf.isKept });
    frame.publish({ unsaved: outbox.unsaved });
    const text = `Not stored yet: ${outbox.problem} Trying again by itself; what you decided is kept in this browser.`;
    panel.showBanner(outbox.isStuck ? { kind: "refused", text } : null, "saving");
    this.redrawUnsaved?.();
  }

  stored(items, answer) {
    if (answer.progress) this.review.progressed(answer.progress);
    if (items.some(({ entry, isAdopted }) => isAdopted && entry.tile === this.review.tile?.address)) this.review.desk.refresh();
  }

  refused(items) {
    for (const { entry, refusal } of items) {
      if (refusal.code === "conflict" && refusal.feature) this.#moved(entry, refusal.feature);
    }
    const claim = items.find(({ refusal }) => refusal.code === "claim");
    const { entry, refusal } = claim ?? items.at(-1);
    if (claim) {
      this.review.desk.lost(entry.tile, refusal.message);
      if (this.review.outbox.refused.length) this.showUnsaved(refusal.message);
    } else if (entry.act === "complete") {
      this.review.panel.showBanner({
        kind: "refused", text: `Tile ${entry.tile} is not finished: ${refusal.message}`,
        actions: [{ label: "Back to that tile", act: () => this.#reopen(entry) }],
      });
    } else {
      if (refusal.code === "failed") this.#sayFailed(refusal.message);
      else this.review.notices.say(refusal.message, "warning");
      if (["invalid", "failed"].includes(refusal.code) && entry.tile === this.review.tile?.address) this.review.desk.refresh();
    }
  }

  #sayFailed(message) {
    const count = this.review.outbox.refused.length;
    this.review.panel.showBanner({
      kind: "refused", text: `${plural(count, "entry", "entries")} set aside, the rest is saved: ${message}`,
      actions: [{ label: "Look at it", act: () => this.showUnsaved("What could not be saved") }],
    });
  }

  #reopen({ id, tile }) {
    this.review.outbox.discard(id);
    this.review.desk.open({ tile });
  }

  /** Somebody was faster: show the feature as it is now. */
  #moved(entry, feature) {
    const tile = [this.review.tile, ...this.review.desk.waiting.map((each) => each.tile)].find((each) => each?.features.has(feature.id));
    if (!tile || tile.address !== entry.tile) return;
    tile.replace(feature);
    if (tile !== this.review.tile) return;
    this.review.layers.put(feature, tile.isOfInterest(feature));
    this.review.select(tile.currentId ?? feature.id);
  }

  /** @param {string} title */
  showUnsaved(title) {
    this.redrawUnsaved = showUnsaved(this.review.outbox, title, {
      retry: (id) => {
        const { entry, refusal } = this.review.outbox.refused.find((item) => item.entry.id === id);
        this.review.outbox.retry(id, refusal.code === "conflict" ? (refusal.feature?.standing ?? null) : undefined);
      },
      discard: (id) => this.review.outbox.discard(id),
    });
  }
}
