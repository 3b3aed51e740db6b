/** What the browser remembers between visits: how somebody likes to work, and the way back through each tile. */

const TILES_KEPT = 30;
const NO_FILTER = { class: null, minScore: null, maxScore: null, status: null };

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function store(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
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
    this.chosen = read(this.key) ?? {};
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
    store(this.key, this.chosen);
  }
}

/** The decisions of this browser, tile by tile, the last one last: what undo goes back through. */
export class History {
  /** @param {string} owner */
  constructor(owner) {
    this.prefix = `maploop/history/${encodeURIComponent(owner)}/`;
    this.prune();
  }

  /** @param {import("./tile.js").TileUnderReview} tile @returns {import("./types.js").Done[]} */
  of(tile) {
    this.#open(tile);
    return this.stack;
  }

  /** @param {import("./tile.js").TileUnderReview} tile @param {import("./types.js").Done} done */
  push(tile, done) {
    this.of(tile).push(done);
    this.#save();
  }

  /** The last decision that still stands; those that do not any more are forgotten. @param {import("./tile.js").TileUnderReview} tile */
  pop(tile) {
    const stack = this.of(tile);
    let done = stack.pop() ?? null;
    while (done && tile.features.get(done.feature)?.standing !== done.decision) done = stack.pop() ?? null;
    this.#save();
    return done;
  }

  /** Keep the last tiles only. */
  prune() {
    try {
      const keys = Object.keys(localStorage).filter((key) => key.startsWith(this.prefix));
      const at = new Map(keys.map((key) => [key, read(key)?.at ?? 0]));
      keys.sort((one, other) => at.get(other) - at.get(one));
      for (const key of keys.slice(TILES_KEPT)) localStorage.removeItem(key);
    } catch {
      // Storage is forbidden: undo reaches back to the last reload.
    }
  }

  #open(tile) {
    const key = `${this.prefix}${tile.address}${tile.audit === null ? "" : `/audit${tile.audit}`}`;
    if (this.key === key) return;
    this.key = key;
    this.stack = read(key)?.stack ?? [];
  }

  /** Written after the frame is painted: nobody waits for it. */
  #save() {
    const { key, stack } = this;
    setTimeout(() => store(key, { at: Date.now(), stack }));
  }
}
