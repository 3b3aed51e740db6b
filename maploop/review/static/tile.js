/** One tile under review: its features, the one to look at, and what deciding does to them. Pure: no map, no page. */

import { newId } from "./dom.js";
import { positions } from "./geometry.js";

/**
 * @typedef {import("./types.js").Feature} Feature
 * @typedef {import("./types.js").Filter} Filter
 * @typedef {import("./types.js").Done} Done
 */

const FINISHED = ["complete", "approved"];

export class TileUnderReview {
  /** @param {import("./types.js").Deck} deck @param {"uncertainty" | "place"} stepping @param {Filter} filter */
  constructor(deck, stepping, filter) {
    this.deck = deck;
    this.address = deck.tile.address;
    this.audit = deck.audit?.id ?? null;
    this.filter = filter;
    /** @type {Map<number | string, Feature>} */
    this.features = new Map(deck.features.map((feature) => [feature.id, { ...feature }]));
    /** Features decided during this visit: the neighbour, fetched before, does not know of them. */
    this.touched = new Set();
    this.currentId = null;
    this.arrange(stepping);
  }

  /** Set the order of stepping: as the server says (most uncertain first), or from each to the nearest. */
  arrange(stepping) {
    const ids = [...this.features.keys()];
    this.order = stepping === "place" ? byPlace(ids.map((id) => this.features.get(id))) : ids;
  }

  get current() {
    return this.currentId === null ? null : (this.features.get(this.currentId) ?? null);
  }

  get isFinished() {
    return FINISHED.includes(this.deck.tile.status) && this.touched.size === 0 && this.undecided.length === 0;
  }

  /** No run has covered the tile, and nobody has drawn anything: that there are no features says nothing. */
  get isUnseenByModels() {
    const { coveredBy, blind } = this.deck.tile;
    return coveredBy?.length === 0 && !blind && this.features.size === 0;
  }

  /** The tile is open again; false when it was. */
  reopen() {
    if (!FINISHED.includes(this.deck.tile.status)) return false;
    this.deck.tile.status = "open";
    return true;
  }

  /** Features in stepping order. */
  get all() {
    return this.order.map((id) => this.features.get(id));
  }

  get undecided() {
    return this.all.filter((feature) => feature.verdict === null);
  }

  get decided() {
    return this.features.size - this.undecided.length;
  }

  /** Place of the current feature, from 1; 0 when there is none. */
  get index() {
    return this.order.indexOf(this.currentId) + 1;
  }

  /** Whether class and score of a feature fit the filter. @param {Feature} feature */
  isOfInterest({ class: name, score }) {
    const { class: wanted, minScore, maxScore } = this.filter;
    if (wanted !== null && name !== wanted) return false;
    if (minScore === null && maxScore === null) return true;
    return score !== null && score >= (minScore ?? 0) && score <= (maxScore ?? 1);
  }

  /** Whether a feature fits the whole filter. @param {Feature} feature */
  fits(feature) {
    return (this.filter.status === null || feature.verdict === wantedVerdict(this.filter)) && this.isOfInterest(feature);
  }

  /** The next feature that asks for attention, from the current one onwards and round; null when there is none. */
  nextOpen() {
    const verdict = wantedVerdict(this.filter);
    return this.#seek(1, (feature) => feature.verdict === verdict && this.isOfInterest(feature));
  }

  /** The next undecided feature whether it fits the filter or not; null when there is none. */
  nextUndecided(step = 1) {
    return this.#seek(step, (feature) => feature.verdict === null);
  }

  /**
   * The neighbour in stepping order among those whose class and score fit, decided or not unless a verdict is looked for
   * (all, when none fits).
   */
  neighbour(step) {
    const fits = (feature) => (wantedVerdict(this.filter) === null ? this.isOfInterest(feature) : this.fits(feature));
    const some = this.all.some(fits);
    return this.#seek(step, (feature) => !some || fits(feature));
  }

  #seek(step, wanted) {
    const length = this.order.length;
    const start = this.currentId === null ? (step > 0 ? -1 : length) : this.order.indexOf(this.currentId);
    for (let offset = 1; offset <= length; offset += 1) {
      const feature = this.features.get(this.order[(((start + step * offset) % length) + length) % length]);
      if (feature && wanted(feature)) return feature.id;
    }
    return null;
  }

  /**
   * Decide about a feature: changes it here, and answers what to send and what to remember for undo.
   * @param {Feature} feature
   * @param {import("./types.js").Verdict} verdict
   * @param {{class?: string, geometry?: object | null, reason?: string | null, seconds: number}} how
   * @returns {{entry: object, done: Done}}
   */
  decide(feature, verdict, { class: name, geometry = null, reason = null, seconds }) {
    const id = newId();
    const done = { decision: id, tile: this.address, feature: feature.id, audit: this.audit, before: snapshot(feature) };
    const said = verdict === "accept" ? feature.predicted : null;
    const entry = this.#entry(id, verdict, seconds, {
      feature: feature.id,
      reason,
      class: said?.class ?? name ?? feature.class,
      geometry: verdict === "correct" ? geometry : null,
      standing: feature.standing,
    });
    feature.verdict = verdict;
    feature.reason = reason;
    feature.standing = id;
    feature.class = entry.class;
    feature.geometry = said?.geometry ?? geometry ?? feature.geometry;
    feature.decidedBy = null;
    this.touched.add(feature.id);
    return { entry, done };
  }

  /** Add what was missed. @param {string} name @param {object} geometry @param {number} seconds */
  add(name, geometry, seconds) {
    const id = newId();
    const entry = this.#entry(id, "add", seconds, { feature: null, reason: null, class: name, geometry, standing: null });
    this.features.set(id, {
      id, class: name, geometry, score: null, verdict: "add", reason: null, standing: id, decidedBy: null,
      remembered: null, model: null, properties: {}, predicted: null,
    });
    this.order.push(id);
    this.touched.add(id);
    return { entry, done: { decision: id, tile: this.address, feature: id, audit: this.audit, before: null } };
  }

  /**
   * Take a decision back. Null when it does not stand any more.
   * @param {Done} done @param {number} seconds
   */
  undo(done, seconds) {
    const feature = this.features.get(done.feature);
    if (!feature || feature.standing !== done.decision) return null;
    const entry = this.#entry(newId(), "undo", seconds, {
      feature: feature.id, reason: null, class: feature.class, geometry: null, standing: done.decision, undoes: done.decision,
    });
    this.touched.add(feature.id);
    if (done.before === null) {
      this.remove(feature.id);
    } else {
      Object.assign(feature, done.before, { geometry: done.before.geometry ?? feature.predicted?.geometry ?? feature.geometry });
    }
    return entry;
  }

  /** Show a feature as the server has it. @param {Feature} feature */
  replace(feature) {
    if (!this.features.has(feature.id)) this.order.push(feature.id);
    this.features.set(feature.id, { ...feature });
  }

  /** @param {number | string} id */
  remove(id) {
    this.features.delete(id);
    this.order = this.order.filter((each) => each !== id);
    if (this.currentId === id) this.currentId = null;
  }

  /** Bring what was decided on a neighbouring tile over to this one, which was fetched before. @param {TileUnderReview} before */
  carryOver(before) {
    if (before.audit !== null || this.audit !== null) return;
    for (const id of before.touched) {
      const feature = before.features.get(id);
      if (feature && (this.features.has(id) || (feature.verdict === "add" && touches(feature.geometry, this.deck.tile.bounds)))) {
        this.replace(feature);
      } else if (!feature && this.features.has(id)) {
        this.remove(id);
      }
    }
  }

  #entry(id, verdict, seconds, rest) {
    return {
      type: "decision", id, tile: this.address, verdict, undoes: null, seconds: Math.round(seconds * 100) / 100,
      audit: this.audit, ...rest,
    };
  }
}

/** The verdict that a filter looks for; null when it is after what is undecided. @param {Filter} filter */
export function wantedVerdict({ status }) {
  return status === "undecided" ? null : status;
}

/** How a feature stands, to go back to. @returns {import("./types.js").Before} */
function snapshot({ verdict, reason, standing, decidedBy, class: name, geometry, predicted }) {
  const asPredicted = predicted && JSON.stringify(predicted.geometry) === JSON.stringify(geometry);
  return { verdict, reason, standing, decidedBy, class: name, geometry: asPredicted ? null : geometry };
}

/** West, south, east, north. @param {import("./types.js").Geometry} geometry */
export function boundsOf(geometry) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of positions(geometry)) {
    box[0] = Math.min(box[0], x);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x);
    box[3] = Math.max(box[3], y);
  }
  return box;
}

function touches(geometry, [west, south, east, north]) {
  const box = boundsOf(geometry);
  return box[0] <= east && box[2] >= west && box[1] <= north && box[3] >= south;
}

/** From the north-western one to the nearest not yet visited, and so on: short ways for the eye. */
function byPlace(features) {
  const left = features.map((feature) => {
    const [west, south, east, north] = boundsOf(feature.geometry);
    return { id: feature.id, x: ((west + east) / 2) * Math.cos((south * Math.PI) / 180), y: (south + north) / 2 };
  });
  const order = [];
  let place = left.length ? { x: Math.min(...left.map((each) => each.x)), y: Math.max(...left.map((each) => each.y)) } : null;
  while (left.length) {
    let nearest = 0;
    const distance = (each) => (each.x - place.x) ** 2 + (each.y - place.y) ** 2;
    for (let index = 1; index < left.length; index += 1) {
      if (distance(left[index]) < distance(left[nearest])) nearest = index;
    }
    [place] = left.splice(nearest, 1);
    order.push(place.id);
  }
  return order;
}
