/** How long somebody really looked: time in which the page is seen and something is pressed or moved now and then. */

const IDLE_MS = 45_000;

export class Attention {
  /** @param {() => void} worked  called when something was pressed or moved */
  constructor(worked) {
    this.seen = performance.now();
    this.total = 0;
    const noted = () => {
      this.#count();
      worked();
    };
    for (const type of ["keydown", "pointerdown", "pointermove", "wheel"]) {
      window.addEventListener(type, noted, { capture: true, passive: true });
    }
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#count();
      else this.seen = performance.now();
    });
  }

  /** Seconds of attention since the page was opened. */
  get seconds() {
    this.#count();
    return this.total / 1000;
  }

  /** A pause longer than a long look is a pause: none of it counts beyond that. */
  #count() {
    const now = performance.now();
    if (!document.hidden) this.total += Math.min(now - this.seen, IDLE_MS);
    this.seen = now;
  }
}
