/** What the browser remembers between visits: how somebody likes to work, and the way back through what was done. */

const ACTS_KEPT = 1000;
const NO_FILTER = { class: null, minScore: null, maxScore: null, status: null };

function read(storage, key) {
  try {
    return JSON.parse(storage.getItem(key));
  } catch {
    return null;
  }
}

function store(storage, key, value) {
  try {
    storage.setItem(key, JSON.stringify(value));
  } catch {
    // Full or forbidden: a convenience is lost, no work.
  }
}

/** @param {import("./types.js").Filter} filter */
export function isEmpty(filter) {
  return Object.values(filter).every((value) => value === null);
}

/** Order, filter and stepping: what the page asks for, unless somebody chose otherwise before. */
export class Preferences {
  /** @param {string} owner */
  constructor(owner) {
    this.key = `maploop/preferences/${encodeURIComponent(owner)}`;
    this.chosen = read(localStorage, this.key) ?? {};
  }

  /** @param {{order: string, filter: object, audit: number | null}} configuration */
  for({ order, filter, audit }) {
    const asked = { ...NO_FILTER, ...filter };
    const wanted = isEmpty(asked) ? { ...NO_FILTER, ...this.chosen.filter } : asked;
    return {
      order: this.chosen.order ?? order,
      stepping: this.chosen.stepping ?? "uncertainty",
      filter: audit === null ? wanted : { ...NO_FILTER }, // a spot check looks at everything
    };
  }

  /** @param {{order?: string, filter?: object, stepping?: string}} chosen */
  choose(chosen) {
    this.chosen = { ...this.chosen, ...chosen };
    store(localStorage, this.key, this.chosen);
  }
}

/**
 * What was done in this tab, the last act last: decisions, and tiles that were finished. Undo goes back through it by
 * time, from tile to tile. It outlives a reload; in a fresh tab the server says what was done last.
 */
export class History {
  /** @param {string} owner */
  constructor(owner) {
    this.key = `maploop/history/${encodeURIComponent(owner)}`;
    /** @type {import("./types.js").Act[]} */
    this.acts = read(sessionStorage, this.key) ?? [];
    this.#dropOlderKind();
  }

  /** @param {import("./types.js").Done} done */
  push(done) {
    this.#add({ ...done, act: "decision" });
  }

  /** Somebody said that nothing is missing on a tile. @param {string} tile */
  pushFinished(tile) {
    this.#add({ act: "complete", tile, audit: null });
  }

  /** The last act in a spot check's tile, or (null) outside of spot checks; null when there is none. @param {number | null} audit */
  last(audit) {
    return this.acts.findLast((each) => each.audit === audit) ?? null;
  }

  /** The feature decided last on a tile. @param {import("./tile.js").TileUnderReview} tile */
  lastFeatureOn({ address, audit }) {
    return this.acts.findLast((each) => each.act === "decision" && each.tile === address && each.audit === audit)?.feature;
  }

  /** Taken back, or not standing any more. @param {import("./types.js").Act} act */
  forget(act) {
    this.acts = this.acts.filter((each) => each !== act);
    this.#save();
  }

  #add(act) {
    this.acts.push(act);
    if (this.acts.length > ACTS_KEPT) this.acts.shift();
    this.#save();
  }

  /** Written after the frame is painted: nobody waits for it. */
  #save() {
    clearTimeout(this.saving);
    this.saving = setTimeout(() => store(sessionStorage, this.key, this.acts));
  }

  /** Earlier versions kept a list a tile, for all tabs. */
  #dropOlderKind() {
    try {
      for (const key of Object.keys(localStorage)) if (key.startsWith(`${this.key}/`)) localStorage.removeItem(key);
    } catch {
      // Storage is forbidden: nothing was kept either.
    }
  }
}

/** Shapes in the making, one a tile: they outlive a closed page, another tile and a tile shown anew. */
export class Unfinished {
  /** @param {string} owner */
  constructor(owner) {
    this.prefix = `maploop/unfinished/${encodeURIComponent(owner)}/`;
  }

  /**
   * @param {import("./tile.js").TileUnderReview} tile
   * @returns {{kind: string, feature: number | string | null, className: string, state: any} | null}
   */
  of(tile) {
    return read(localStorage, this.#key(tile));
  }

  keep(tile, shape) {
    store(localStorage, this.#key(tile), shape);
  }

  forget(tile) {
    try {
      localStorage.removeItem(this.#key(tile));
    } catch {
      // Storage is forbidden: nothing was kept.
    }
  }

  #key({ address, audit }) {
    return this.prefix + (audit === null ? address : `${address}/audit${audit}`);
  }
}
