/** The row of buttons: the same commands as the keys, each with its key. */

import { COMMANDS, keyLabel } from "./commands.js";
import { make, write } from "./dom.js";

export class Toolbar {
  /** @param {(command: string) => void} run @param {(isHidden: boolean) => void} hide */
  constructor(run, hide) {
    this.buttons = new Map();
    this.hint = make("span", { class: "maploop-hint" });
    const groups = new Map();
    for (const command of COMMANDS.filter((each) => each.isButton)) {
      const button = this.#button(command, run);
      if (command.name === "hide") this.#holds(button, hide);
      if (!groups.has(command.group)) groups.set(command.group, make("span", { class: "maploop-group" }));
      groups.get(command.group).append(button);
    }
    this.reviewing = make("div", { class: "maploop-buttons" }, ...groups.values());
    const shaping = COMMANDS.filter((each) => each.modes?.length === 1 && each.modes[0] === "shaping");
    this.shaping = make("div", { class: "maploop-buttons", hidden: true }, this.hint, ...shaping.map((each) => this.#button(each, run)));
    this.element = make("nav", { class: "maploop-tools", "aria-label": "Review" }, this.reviewing, this.shaping);
  }

  /** Show the buttons of a mode. @param {string | null} hint  what to do while shaping; null: reviewing */
  setMode(hint) {
    this.reviewing.hidden = hint !== null;
    this.shaping.hidden = hint === null;
    write(this.hint, hint ?? "");
  }

  /** @param {{hasFeature: boolean, hasTile: boolean, isReady: boolean}} state  `isReady`: everything is decided */
  update({ hasFeature, hasTile, isReady }) {
    for (const name of ["accept", "reject", "unsure", "edit", "move", "redraw"]) this.#enable(name, hasFeature);
    for (const name of ["add", "done", "close", "hide"]) this.#enable(name, hasTile);
    this.buttons.get("done").classList.toggle("is-ready", isReady);
  }

  /** @param {string} name @param {boolean} isOn */
  press(name, isOn) {
    this.buttons.get(name)?.classList.toggle("is-on", isOn);
  }

  #enable(name, isEnabled) {
    const button = this.buttons.get(name);
    if (button.disabled === isEnabled) button.disabled = !isEnabled;
  }

  #button(command, run) {
    const button = make(
      "button", { type: "button", class: `is-${command.name}`, title: command.help, "data-command": command.name },
      make("span", { text: command.label }), make("kbd", { text: keyLabel(command.keys[0]) }),
    );
    if (command.name !== "hide") button.addEventListener("click", () => run(command.name));
    this.buttons.set(command.name, button);
    return button;
  }

  #holds(button, hide) {
    button.addEventListener("pointerdown", (event) => {
      button.setPointerCapture(event.pointerId);
      hide(true);
    });
    for (const type of ["pointerup", "pointercancel"]) button.addEventListener(type, () => hide(false));
  }
}
