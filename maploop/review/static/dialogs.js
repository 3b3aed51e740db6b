/** What opens over the map: all keys, a tile's address, filter and order, what is not saved. Escape closes each. */

import { COMMANDS, keyLabel, REASONS } from "./commands.js";
import { make } from "./dom.js";
import { VERDICT_WORDS } from "./panel.js";

/** A modal `<dialog>`: the browser keeps the focus in it and closes it on Escape. */
function open(name, title, ...content) {
  const close = make("button", { type: "button", class: "maploop-close", "aria-label": "Close", text: "✕" });
  const dialog = make("dialog", { class: `maploop-dialog is-${name}`, "aria-label": title }, make("h2", { text: title }), close, ...content);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  window.focus(); // keys may have come from the page around
  dialog.showModal();
  return dialog;
}

/** All keys. */
export function showHelp() {
  const groups = new Map();
  for (const command of COMMANDS) {
    if (!groups.has(command.group)) groups.set(command.group, []);
    groups.get(command.group).push(command);
  }
  const line = (keys, help) =>
    make("div", { class: "maploop-key" }, make("span", {}, ...keys.map((key) => make("kbd", { text: keyLabel(key) }))), make("span", { text: help }));
  const sections = [...groups].map(([group, commands]) => {
    const lines = commands.map(({ keys, help }) => line(keys, help));
    if (group === "Decide") lines.push(line(["1 – 9"], "Set the class"));
    return make("section", {}, make("h3", { text: group }), ...lines);
  });
  const reasons = REASONS.map(({ label }, index) => `${index + 1} ${label}`).join(", ");
  open("help", "Keys", make("div", { class: "maploop-keys" }, ...sections), make("p", { text: `Reasons of a reject: ${reasons}.` }));
}

/** Ask for a tile's address. @param {string} current @param {(address: string) => void} go */
export function askTile(current, go) {
  const input = make("input", { type: "text", value: current, pattern: "\\s*\\d{1,2}/\\d{1,8}/\\d{1,8}\\s*", required: true, "aria-label": "Tile address", title: "z/x/y", spellcheck: "false" });
  const form = make("form", { method: "dialog" }, input, make("button", { class: "is-first", text: "Go" }));
  const dialog = open("go", "Go to tile z/x/y", form);
  form.addEventListener("submit", () => go(input.value.trim()));
  input.select();
  return dialog;
}

/**
 * Filter and order. Calls `choose` with what was set.
 * @param {import("./types.js").FeatureClass[]} classes
 * @param {{filter: import("./types.js").Filter, order: string, stepping: string}} settings
 * @param {(settings: object) => void} choose
 */
export function askFilter(classes, { filter, order, stepping }, choose) {
  const select = (label, options, chosen) => {
    const element = make("select", {}, ...options.map(([value, text]) => make("option", { value, text, selected: value === (chosen ?? "") })));
    return [element, make("label", {}, make("span", { text: label }), element)];
  };
  const score = (label, value) => {
    const element = make("input", { type: "number", min: "0", max: "1", step: "0.01", value: value ?? "", placeholder: "any" });
    return [element, make("label", {}, make("span", { text: label }), element)];
  };
  const [name, nameLabel] = select("Class", [["", "every class"], ...classes.map((each) => [each.name, each.name])], filter.class);
  const [status, statusLabel] = select("Status", [["", "every status"], ["undecided", "undecided"], ...Object.entries(VERDICT_WORDS)], filter.status);
  const [low, lowLabel] = score("Score from", filter.minScore);
  const [high, highLabel] = score("Score to", filter.maxScore);
  const orders = [["mixed", "mixed: some at random"], ["uncertainty", "most uncertain first"], ["place", "place by place"], ["random", "at random"]];
  const [next, nextLabel] = select("Next tile", orders, order);
  const [step, stepLabel] = select("Within a tile", [["uncertainty", "most uncertain first"], ["place", "to the nearest"]], stepping);
  const clear = make("button", { type: "button", text: "Clear the filter" });
  const form = make(
    "form", { method: "dialog" }, nameLabel, statusLabel, lowLabel, highLabel, nextLabel, stepLabel,
    make("div", { class: "maploop-actions" }, make("button", { class: "is-first", text: "Use" }), clear),
  );
  const dialog = open("filter", "Filter and order", form);
  const number = (input) => (input.value === "" ? null : Math.min(Math.max(Number(input.value), 0), 1));
  const use = (wanted) => choose({ filter: wanted, order: next.value, stepping: step.value });
  form.addEventListener("submit", () =>
    use({ class: name.value || null, minScore: number(low), maxScore: number(high), status: status.value || null }),
  );
  clear.addEventListener("click", () => {
    dialog.close();
    use({ class: null, minScore: null, maxScore: null, status: null });
  });
}

/**
 * What the server does not have, and why. Answers a function that draws the list anew, for when something has changed.
 * @param {import("./outbox.js").Outbox} outbox
 * @param {string} title
 * @param {{retry: (id: string) => void, discard: (id: string) => void}} acts
 */
export function showUnsaved(outbox, title, { retry, discard }) {
  document.querySelector("dialog.is-unsaved")?.remove(); // close() would leave it standing until its event comes
  const list = make("ul", { class: "maploop-list" });
  const actions = make("div", { class: "maploop-actions" });
  const dialog = open("unsaved", title, list, actions);
  const button = (text, act, options = {}) => make("button", { type: "button", text, ...options, on: { click: act } });
  const draw = () => {
    const { refused, waiting, items } = outbox;
    const lines = refused.map(({ entry, refusal }) =>
      make(
        "li", {}, make("strong", { text: describe(entry) }), make("span", { text: refusal.message }),
        button("Try again", () => retry(entry.id)), button("Discard", () => discard(entry.id)),
      ),
    );
    if (waiting.length) {
      const why = outbox.problem ? `${outbox.problem} Trying again by itself.` : "On the way.";
      lines.push(make("li", {}, make("strong", { text: `${waiting.length} waiting` }), make("span", { text: why })));
    }
    if (!lines.length) lines.push(make("li", { text: "Everything is on the server's disk." }));
    list.replaceChildren(...lines);
    const all = (act) => () => refused.map(({ entry }) => entry.id).forEach(act);
    const several = refused.length > 1 ? [button("Try all again", all(retry)), button("Discard all", all(discard))] : [];
    const file = items.length ? [button("Download as JSON", () => download(items))] : [];
    actions.replaceChildren(...several, ...file, button("Close", () => dialog.close(), { class: "is-first" }));
  };
  draw();
  return () => dialog.open && draw();
}

function describe(entry) {
  if (entry.type === "tile") return `${entry.tile}: tile ${entry.act}`;
  return `${entry.tile}: ${entry.class} ${entry.verdict === "undo" ? "undone" : VERDICT_WORDS[entry.verdict]}`;
}

function download(items) {
  const file = new Blob([JSON.stringify(items.map(({ entry, refusal }) => ({ entry, refusal })), null, 1)], { type: "application/json" });
  const link = make("a", { href: URL.createObjectURL(file), download: "maploop-unsaved.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
