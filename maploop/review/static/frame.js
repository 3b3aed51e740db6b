/** The frame and the page around it: focus, address, theme, what tests read, and what happens when it all goes away. */

import { pageAround } from "./keys.js";

export class Frame {
  constructor() {
    this.page = pageAround();
    this.#followTheme();
    this.published = {};
  }

  /** Resolves once our styles are in force: the map measures itself by them. */
  async styled() {
    const deadline = performance.now() + 5000;
    const isThere = () => getComputedStyle(document.documentElement).getPropertyValue("--maploop-styled");
    while (!isThere() && performance.now() < deadline) await new Promise(requestAnimationFrame);
  }

  focus() {
    window.focus();
  }

  /** Have Streamlit run the page again, which hands out a new token; a page that is gone for good is loaded anew. */
  askPage() {
    window.Streamlit?.setComponentValue({ wanted: "token", at: Date.now() });
  }

  /** The page's address names the tile, so that a reload or a shared link comes back to it. @param {string} tile @param {number | null} audit */
  follow(tile, audit) {
    if (this.page === window) return;
    const address = new URL(this.page.location.href);
    if (audit === null) address.searchParams.set("tile", tile);
    this.page.history.replaceState(this.page.history.state, "", address);
  }

  /** Leave for another page of the app, with the same project. @param {string} name */
  visit(name) {
    const address = new URL(name, this.page.location.href);
    address.searchParams.set("project", new URL(this.page.location.href).searchParams.get("project") ?? "");
    // The frame may not navigate the page, a link of the page's own may.
    Object.assign(this.page.document.createElement("a"), { href: address.href }).click();
  }

  /** What tests and tools read. @param {Record<string, string | number>} values */
  publish(values) {
    for (const [name, value] of Object.entries(values)) {
      if (this.published[name] === value) continue;
      this.published[name] = value;
      document.body.dataset[name] = String(value);
    }
  }

  /** @param {() => boolean} isUnsaved @param {() => void} leaving */
  guard(isUnsaved, leaving) {
    const ending = new AbortController();
    const warn = (event) => isUnsaved() && event.preventDefault();
    for (const target of new Set([window, this.page])) target.addEventListener("beforeunload", warn, { signal: ending.signal });
    window.addEventListener("pagehide", () => {
      ending.abort();
      leaving();
    });
  }

  /** As light or dark as the page around. */
  #followTheme() {
    const apply = () => {
      const app = this.page.document.querySelector(".stApp");
      const [red, green, blue] = (app ? getComputedStyle(app).backgroundColor : "").match(/[\d.]+/g)?.map(Number) ?? [];
      const isDark = red === undefined ? matchMedia("(prefers-color-scheme: dark)").matches : red + green + blue < 384;
      document.documentElement.dataset.theme = isDark ? "dark" : "light";
    };
    apply();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTimeout(apply, 200));
  }
}
