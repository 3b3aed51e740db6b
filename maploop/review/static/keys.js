/** Keys, whether the focus is in the map's frame or in the page around it. */

import { keyOf } from "./commands.js";

const TYPING = "input, textarea, select, [contenteditable=''], [contenteditable=true], [role=textbox], [role=combobox]";
const PRESSED = "button, a[href], summary, [role=button]:not(.leaflet-marker-icon)"; // a vertex is dragged, not pressed
const OPEN_DIALOG = "[role=dialog], [data-baseweb=popover]";

export class Keys {
  /**
   * @param {(key: string, event: KeyboardEvent) => boolean} pressed  true when it did something with the key
   * @param {(key: string) => void} released
   */
  constructor(pressed, released) {
    this.ending = new AbortController();
    const { signal } = this.ending;
    this.down = (event) => {
      if (!isForUs(event) || !pressed(keyOf(event), event)) return;
      event.preventDefault();
      event.stopImmediatePropagation(); // Streamlit has keys of its own: r runs the page again, c clears caches
    };
    this.up = (event) => released(keyOf(event));
    for (const target of new Set([window, pageAround()])) {
      target.addEventListener("keydown", this.down, { capture: true, signal });
      target.addEventListener("keyup", this.up, { capture: true, signal });
      target.addEventListener("blur", () => released("blur"), { signal });
    }
    window.addEventListener("pagehide", () => this.ending.abort());
  }
}

/** The window that holds the frame; the frame's own when there is no reaching it. */
export function pageAround() {
  try {
    return window.parent.document ? window.parent : window;
  } catch {
    return window;
  }
}

function isForUs(event) {
  if (event.isComposing || event.defaultPrevented) return false;
  const target = event.composedPath()[0];
  if (target?.matches?.(TYPING)) return false;
  const { document: here } = event.currentTarget;
  if (document.querySelector("dialog[open]") || (here !== document && here.querySelector(OPEN_DIALOG))) return false;
  if (!target?.closest?.(PRESSED)) return true;
  // A focused button is pressed by Enter and Space, wherever it is; Tab goes on from one in the page.
  const own = here === document ? ["Enter", " "] : ["Enter", " ", "Tab", "Shift+Tab"];
  return !own.includes(keyOf(event));
}
