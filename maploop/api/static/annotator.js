/**
 * Keeps the name that somebody works under: for this tab in sessionStorage, for tabs opened later in localStorage.
 *
 * Runs before Streamlit's own scripts and hands the name over with the address of its web socket, so that the first
 * drawing of a page knows it already. The name is in no address that people see or share.
 */
(() => {
  const KEY = "maploop/annotator";

  /** Read and write a storage; a browser may forbid it, then nothing is remembered. */
  const storage = (name) => ({
    read: () => {
      try { return window[name].getItem(KEY) ?? ""; } catch { return ""; }
    },
    write: (value) => {
      try { window[name].setItem(KEY, value); } catch { /* forbidden, or full */ }
    },
  });
  const [tab, browser] = [storage("sessionStorage"), storage("localStorage")];

  let current = tab.read() || browser.read();
  if (current) tab.write(current);

  /** Keep the name that the page was drawn for; one that differs from the tab's was picked by a person. @param {string} name */
  window.maploopKeepAnnotator = (name) => {
    if (current && current !== name) browser.write(name);
    current = name;
    tab.write(name);
  };

  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(address, protocols) {
      const named = new URL(address, location.href);
      if (current && named.pathname.endsWith("/_stcore/stream")) named.searchParams.set("annotator", current);
      super(named, protocols);
    }
  };
})();
