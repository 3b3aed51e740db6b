/** Everything one can do, with its keys: the keyboard, the buttons and the help are all made from this one list. */

/**
 * @typedef {object} Command
 * @property {string} name
 * @property {string[]} keys     as `keyOf` names them
 * @property {string} label      on the button
 * @property {string} help
 * @property {string} group      heading in the help
 * @property {boolean} [isButton]  stands in the row of buttons
 * @property {boolean} [repeats]   goes on while the key is held down
 * @property {string[]} [modes]    where it works; reviewing, unless told
 */

/** @type {Command[]} */
export const COMMANDS = [
  { name: "accept", keys: ["a"], label: "Accept", help: "Accept what the model says", group: "Decide", isButton: true },
  { name: "reject", keys: ["x"], label: "Reject", help: "Reject; Shift and a digit add the reason, if you like", group: "Decide", isButton: true },
  { name: "rejectWithReason", keys: ["Shift+x"], label: "Reject, with reason", help: "Choose the reason first, then reject", group: "Decide" },
  { name: "unsure", keys: ["s"], label: "Unsure", help: "Leave it to somebody else", group: "Decide", isButton: true },
  { name: "edit", keys: ["e"], label: "Edit", help: "Move, add (drag a middle) and remove (click) vertices", group: "Correct", isButton: true },
  { name: "move", keys: ["m"], label: "Move", help: "Move the whole outline, by mouse or arrows", group: "Correct", isButton: true },
  { name: "redraw", keys: ["r"], label: "Redraw", help: "Draw the outline anew", group: "Correct", isButton: true },
  { name: "add", keys: ["n"], label: "Add missed", help: "Draw what the model missed; digits choose the class", group: "Correct", isButton: true },
  { name: "keep", keys: ["Enter"], label: "Keep", help: "Keep the outline", group: "While editing or drawing", modes: ["shaping"] },
  { name: "drop", keys: ["Escape"], label: "Drop", help: "Drop it", group: "While editing or drawing", modes: ["shaping"] },
  { name: "takeBack", keys: ["Backspace", "Ctrl+z"], label: "Take back", help: "Take the last step back", group: "While editing or drawing", modes: ["shaping"] },
  { name: "undo", keys: ["Backspace", "Ctrl+z"], label: "Undo", help: "Undo what you did last, on whatever tile", group: "Correct", isButton: true, repeats: false },
  { name: "next", keys: ["ArrowRight", "ArrowDown"], label: "Next", help: "Next feature", group: "Look", repeats: true },
  { name: "previous", keys: ["ArrowLeft", "ArrowUp"], label: "Previous", help: "Previous feature", group: "Look", repeats: true },
  { name: "nextUndecided", keys: ["Tab"], label: "Next undecided", help: "Next undecided feature; once all is decided, Tab leads out of the map", group: "Look", repeats: true },
  { name: "previousUndecided", keys: ["Shift+Tab"], label: "Previous undecided", help: "Previous undecided feature", group: "Look", repeats: true },
  { name: "hide", keys: ["h"], label: "Hide", help: "Hold to hide all outlines", group: "Look", isButton: true, modes: ["review", "shaping"] },
  { name: "close", keys: ["z"], label: "Zoom", help: "Zoom to each feature, or see the whole tile", group: "Look", isButton: true, modes: ["review", "shaping"] },
  { name: "stepping", keys: ["o"], label: "Order", help: "Step by uncertainty or from one to the nearest", group: "Look" },
  { name: "done", keys: ["Enter"], label: "Tile done", help: "Nothing is missing: finish the tile", group: "Tile", isButton: true },
  { name: "back", keys: ["PageUp", "p"], label: "Previous tile", help: "Back to the tile finished before", group: "Tile" },
  { name: "skip", keys: ["PageDown"], label: "Leave for later", help: "Leave this tile unfinished, take another", group: "Tile" },
  { name: "goTo", keys: ["g"], label: "Go to tile", help: "Go to a tile by its address", group: "Tile" },
  { name: "filter", keys: ["f"], label: "Filter", help: "Filter and order", group: "Tile" },
  { name: "unsaved", keys: ["u"], label: "Unsaved", help: "What is not saved yet", group: "Tile" },
  { name: "leave", keys: ["Escape"], label: "Leave the map", help: "Then Tab leads out of the map", group: "Tile" },
  { name: "help", keys: ["?"], label: "Help", help: "All keys", group: "Tile", modes: ["review", "shaping"] },
];

/** What people say about a reject. Digits choose it while the question is open. */
export const REASONS = [
  { reason: "not_there", label: "not there" },
  { reason: "duplicate", label: "duplicate" },
  { reason: "wrong_class", label: "wrong class" },
  { reason: "bad_imagery", label: "bad imagery" },
];

/** What a key writes; where letters are not Latin (Cyrillic, Greek, Arabic), what stands in its place elsewhere. */
function latin({ key, code }) {
  if (key === "\u061f") return "?"; // the Arabic one
  const isForeign = /\p{L}/u.test(key) && !/\p{Script=Latin}/u.test(key);
  return (isForeign && /^Key([A-Z])$/.exec(code)?.[1].toLowerCase()) || key;
}

/** Name a key press whatever the keyboard's layout: digits by their place, letters by what they write. @param {KeyboardEvent} event */
export function keyOf(event) {
  const digit = /^(?:Digit|Numpad)([0-9])$/.exec(event.code)?.[1];
  const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
  const isOfRow = event.code.startsWith("Digit"); // those of the number pad know no Shift
  if (digit && isPlain && event.key !== "?") return event.shiftKey && isOfRow ? `Shift+${digit}` : digit;
  const written = latin(event);
  const isLetter = /^\p{L}$/u.test(written);
  const name = isLetter ? written.toLowerCase() : written;
  const shift = event.shiftKey && (isLetter || name.length > 1) ? "Shift+" : "";
  const control = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
  return `${event.altKey ? "Alt+" : ""}${control}${shift}${name}`;
}

/** The command of a key in a mode; null when it has none. @param {string} key @param {"review" | "shaping"} mode */
export function commandFor(key, mode) {
  return COMMANDS.find((each) => each.keys.includes(key) && (each.modes ?? ["review"]).includes(mode)) ?? null;
}

/** How a key is written on a button. @param {string} key */
export function keyLabel(key) {
  const signs = {
    ArrowRight: "→", ArrowLeft: "←", ArrowUp: "↑", ArrowDown: "↓", Enter: "⏎", Backspace: "⌫", Escape: "Esc", Tab: "⇥",
    PageUp: "PgUp", PageDown: "PgDn",
  };
  return key.split("+").map((part) => signs[part] ?? (part.length === 1 ? part.toUpperCase() : part)).join(" ");
}
