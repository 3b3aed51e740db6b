/** Short messages that come and go, the reasons of a reject among them; and the stage that covers an empty map. */

import { REASONS } from "./commands.js";
import { make } from "./dom.js";

const SHORT_MS = 3500;
const LONG_MS = 9000;

export class Notices {
  constructor() {
    this.element = make("div", { class: "maploop-notices", role: "status", "aria-live": "polite" });
    this.stage = make("div", { class: "maploop-stage", hidden: true });
    document.body.append(this.stage);
    this.question = null;
  }

  /** Say something for a while. @param {string} text @param {"info" | "warning"} [kind] */
  say(text, kind = "info") {
    const isLong = kind === "warning" || text.length > 70;
    this.#put(make("div", { class: `maploop-notice is-${kind}` }, make("span", { text })), isLong ? LONG_MS : SHORT_MS);
  }

  /**
   * Ask why; a digit or a click answers, anything else passes by.
   * @param {string} text @param {(reason: string) => void} answer
   */
  askReason(text, answer) {
    const choose = (reason) => {
      this.dismissQuestion();
      answer(reason);
    };
    const buttons = REASONS.map(({ reason, label }, index) =>
      make(
        "button", { type: "button", "data-reason": reason, on: { click: () => choose(reason) } },
        make("kbd", { text: String(index + 1) }), label,
      ),
    );
    const element = make("div", { class: "maploop-notice is-question" }, make("span", { text }), ...buttons);
    this.#put(element, SHORT_MS * 2);
    this.question = { element, choose };
  }

  /** True when a digit answered the open question. @param {string} key */
  answer(key) {
    const reason = REASONS[Number(key) - 1]?.reason;
    if (!this.question?.element.isConnected || !reason) return false;
    this.question.choose(reason);
    return true;
  }

  dismissQuestion() {
    this.question?.element.remove();
    this.question = null;
  }

  /**
   * Cover the map: loading, nothing left, an error. Null uncovers it.
   * @param {{kind: "loading" | "empty" | "error", title: string, text: string,
   *          actions?: {label: string, act: () => void}[]} | null} content
   */
  cover(content) {
    this.stage.hidden = content === null;
    if (content === null) return;
    this.stage.dataset.kind = content.kind;
    const buttons = (content.actions ?? []).map(({ label, act }, index) =>
      make("button", { type: "button", class: index === 0 ? "is-first" : "", text: label, on: { click: act } }),
    );
    this.stage.replaceChildren(
      make("div", {}, make("h2", { text: content.title }), make("p", { text: content.text }), make("div", { class: "maploop-actions" }, ...buttons)),
    );
    this.first = content.actions?.[0]?.act ?? null;
  }

  /** Nothing of the map is seen. */
  get isCovering() {
    return !this.stage.hidden;
  }

  /** Do what the stage's first button does. True when there is one. */
  proceed() {
    if (this.stage.hidden || !this.first) return false;
    this.first();
    return true;
  }

  #put(element, duration) {
    this.dismissQuestion();
    this.element.replaceChildren(element);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => element.remove(), duration);
  }
}
