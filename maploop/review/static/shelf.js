/**
 * Where entries lie until the server has them: a key an entry in `localStorage`, under the tab that made them.
 *
 * A tab holds a lock for as long as it lives. Another tab that finds its entries waits for that lock; once it is granted,
 * the owner is gone and the entries are taken over. Sending one twice is harmless, the server stores an id once.
 */

import { newId } from "./dom.js";

const SILENT_MS = 180_000; // without locks: timers of a hidden tab may run once a minute only
const PULSE_MS = 20_000;

export class Shelf {
  /** @param {string} owner  names the project and the person: entries of others are left alone */
  constructor(owner) {
    this.prefix = `maploop/outbox/${encodeURIComponent(owner)}/`;
    this.tab = newId();
    this.count = 0;
    this.isKept = true;
    this.watched = new Set([this.tab]);
  }

  /** Announce this tab, and take over what tabs that are gone have left. @param {(entries: object[]) => void} adopt */
  async start(adopt) {
    this.adopt = adopt;
    if (navigator.locks) {
      await new Promise((resolve) => {
        // Never resolved: held until this document ends.
        navigator.locks.request(this.prefix + this.tab, () => new Promise(() => resolve(undefined)));
      });
    } else {
      this.#pulse();
      setInterval(() => this.#pulse(), PULSE_MS);
    }
    window.addEventListener("storage", (event) => {
      if (event.key?.startsWith(this.prefix)) this.lookAround();
    });
    await this.lookAround();
  }

  /** Find other tabs' entries. Resolves when those whose tabs are known to be gone are here. */
  async lookAround() {
    const tabs = new Set(this.#keys().map((key) => key.slice(this.prefix.length).split("/")[0]));
    const gone = [];
    for (const tab of tabs) {
      if (this.watched.has(tab)) continue;
      this.watched.add(tab);
      if (navigator.locks) gone.push(this.#takeWhenGone(tab));
      else if (this.#isSilent(tab)) this.#take(tab);
      else this.watched.delete(tab);
    }
    await Promise.race([Promise.all(gone), new Promise((resolve) => setTimeout(resolve, 300))]);
  }

  /** Keep an entry; answers its key. @param {object} item */
  put(item) {
    this.count += 1;
    const key = `${this.prefix}${this.tab}/${String(this.count).padStart(8, "0")}`;
    this.write(key, item);
    return key;
  }

  /** @param {string} key @param {object} item */
  write(key, item) {
    try {
      localStorage.setItem(key, JSON.stringify(item));
    } catch {
      this.isKept = false; // full, or forbidden: the entry lives in memory only, and the panel says so
    }
  }

  /** @param {string} key */
  drop(key) {
    try {
      localStorage.removeItem(key);
    } catch {
      this.isKept = false;
    }
  }

  #keys() {
    try {
      return Object.keys(localStorage).filter((key) => key.startsWith(this.prefix));
    } catch {
      return [];
    }
  }

  async #takeWhenGone(tab) {
    await navigator.locks.request(this.prefix + tab, () => this.#take(tab));
    this.watched.delete(tab);
  }

  #take(tab) {
    const start = `${this.prefix}${tab}/`;
    const keys = this.#keys().filter((key) => key.startsWith(start)).sort();
    const items = [];
    for (const key of keys) {
      try {
        items.push(JSON.parse(localStorage.getItem(key)));
      } catch {
        // Damaged by something else than Maploop: nothing can be sent from it.
      }
    }
    if (items.length) this.adopt(items);
    for (const key of keys) this.drop(key);
    this.drop(`maploop/pulse/${tab}`);
  }

  #pulse() {
    this.write(`maploop/pulse/${this.tab}`, Date.now());
    if (this.adopt) this.lookAround();
  }

  #isSilent(tab) {
    return Date.now() - Number(localStorage.getItem(`maploop/pulse/${tab}`) ?? 0) > SILENT_MS;
  }
}
