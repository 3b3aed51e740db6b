/** What each key does at the moment: a tool's own, a digit, Escape, Tab, or a command. A key that repeats decides nothing. */

import { commandFor } from "./commands.js";

const TABS = ["nextUndecided", "previousUndecided"];

export class Keyboard {
  /** @param {import("./review.js").Review} review */
  constructor(review) {
    this.review = review;
    this.isTabFree = false;
    this.hasToldOfTab = false;
  }

  /**
   * @param {string} key  as `keyOf` names it @param {KeyboardEvent} event
   * @returns {boolean} whether something was done with it
   */
  pressed(key, event) {
    const mode = this.review.shaping.isOn ? "shaping" : "review";
    if (mode === "shaping" && this.review.shaping.key(key)) {
      this.review.update();
      return true;
    }
    if (/^(Shift\+)?[1-9]$/.test(key)) return event.repeat || this.#digit(key, event);
    if (key === "Escape" && mode === "review") return this.#escape();
    const command = commandFor(key, mode);
    if (!command) return false;
    if (TABS.includes(command.name) && !this.#takesTab()) return false;
    this.isTabFree = false;
    if (!event.repeat || command.repeats) this.review.run(command.name);
    return true;
  }

  /** A digit sets the class; with Shift, or when a reject waits for it, it is a reason. */
  #digit(key, event) {
    const isReason = key.startsWith("Shift+");
    if ((isReason || this.review.deciding.pendingReject) && this.review.notices.answer(key.at(-1))) return true;
    if (isReason) {
      // Where digits are typed with Shift (AZERTY), it was perhaps meant for the class.
      if (event.key === key.at(-1)) this.review.notices.say(`No reason is asked for. The key without Shift sets class ${key.at(-1)}.`);
      return true;
    }
    const chosen = [...this.review.classes.values()].find((each) => String(each.digit) === key);
    if (!chosen) return false;
    this.review.run("class", chosen.name);
    return true;
  }

  /** Call a question off; with none open, set Tab free: the keyboard is no trap. */
  #escape() {
    if (this.review.deciding.pendingReject) {
      this.review.deciding.pendingReject = null;
      this.review.notices.dismissQuestion();
      return true;
    }
    if (this.isTabFree) return false;
    this.isTabFree = true;
    this.review.notices.say("Tab leads through the buttons and out of the map now, until another key of the map is pressed.");
    return true;
  }

  /** Whether Tab steps to what is undecided; otherwise it moves the focus, as everywhere. */
  #takesTab() {
    if (this.isTabFree || !this.review.tile?.undecided.length) return false;
    if (!this.hasToldOfTab) this.review.notices.say("Tab goes to the next undecided. To leave the map, press Escape first.");
    this.hasToldOfTab = true;
    return true;
  }
}
