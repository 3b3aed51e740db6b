/** What stands round the map: where one is, how far, what the current feature is, and whether all is saved. */

import { make, plural, write } from "./dom.js";

export const VERDICT_WORDS = {
  accept: "accepted", correct: "corrected", reject: "rejected", add: "added", unsure: "unsure",
};
const MOST_PROPERTIES = 8;

export class Panel {
  /** @param {(command: string, detail?: any) => void} run */
  constructor(run) {
    this.run = run;
    const button = (name, title) => make("button", { class: `maploop-${name}`, type: "button", title, on: { click: () => run(name) } });
    this.where = make("button", { class: "maploop-where", type: "button", title: "Go to a tile (G)", on: { click: () => run("goTo") } });
    this.chips = make("span", { class: "maploop-chips" });
    this.count = make("span", { class: "maploop-count" });
    this.meter = make("span", { class: "maploop-meter", role: "progressbar", "aria-label": "Decided on this tile" }, make("i"));
    this.tiles = make("span", { class: "maploop-figure", title: "Tiles finished by everybody, of all; yours" });
    this.hour = make("span", { class: "maploop-figure", title: "What you did in the last hour" });
    this.save = make("button", { class: "maploop-save", type: "button", title: "What is not saved yet (U)", on: { click: () => run("unsaved") } });
    this.filter = button("filter", "Filter and order (F)");
    this.filter.append("Filter");
    this.help = button("help", "All keys (?)");
    this.help.append("?");
    this.bar = make(
      "header", { class: "maploop-bar" },
      make("span", { class: "maploop-place" }, this.where, this.chips),
      make("span", { class: "maploop-tally" }, this.count, this.meter),
      make("span", { class: "maploop-figures" }, this.tiles, this.hour),
      make("span", { class: "maploop-state" }, this.save, this.filter, this.help),
    );
    /** One banner a subject: a comment or a refusal, imagery that does not come, a server that does not store. */
    this.banners = { work: null, imagery: null, saving: null };
    for (const subject of Object.keys(this.banners)) {
      const name = subject === "work" ? "maploop-banner" : `maploop-alert is-${subject}`;
      this.banners[subject] = make("div", { class: name, role: "status", hidden: true });
    }
    const banners = make("div", { class: "maploop-banners" }, ...Object.values(this.banners));
    this.card = new Card(run);
    this.credit = make("div", { class: "maploop-credit" });
    this.element = make("div", { class: "maploop-top" }, this.bar, banners, this.card.element);
    document.body.append(this.element, this.credit);
  }

  /** @param {import("./tile.js").TileUnderReview | null} tile @param {boolean} isFiltered */
  showTile(tile, isFiltered) {
    write(this.where, tile ? tile.address : "no tile");
    this.card.element.hidden = this.meter.hidden = tile === null;
    const { audit, tile: about } = tile?.deck ?? {};
    const chips = [];
    if (audit) chips.push(["audit", `Spot check ${Math.min(audit.done + 1, audit.total)} of ${audit.total}`]);
    else if (about && about.status !== "open") {
      const who = about.finishedBy && about.status !== "returned" ? ` by ${about.finishedBy}` : "";
      chips.push([about.status, `${about.status}${who}`]);
      if (who && tile.undecided.length) chips.push(["second-look", "second look: predicted since"]);
    }
    if (about?.blind && !audit) chips.push(["blind", "blind test tile: nothing predicted is shown, draw all there is"]);
    if (isFiltered) chips.push(["filter", "filtered"]);
    this.chips.replaceChildren(...chips.map(([kind, text]) => make("span", { class: `maploop-chip is-${kind}`, text })));
    this.filter.classList.toggle("is-on", isFiltered);
    write(this.credit, tile?.deck.imagery?.attribution ?? "");
    this.credit.hidden = !this.credit.textContent;
  }

  /** @param {import("./tile.js").TileUnderReview | null} tile */
  showCount(tile) {
    const [total, decided] = tile ? [tile.features.size, tile.decided] : [0, 0];
    const place = tile?.index ? `${tile.index} of ${total}` : plural(total, "feature");
    const left = total - decided;
    const isBlind = Boolean(tile?.deck.tile.blind && !tile.deck.audit); // "all decided" would sound like all there is
    const isUnseen = Boolean(tile?.isUnseenByModels);
    const state = left ? `${left} to decide` : isUnseen ? "no model has looked here" : "all decided";
    this.meter.hidden = !tile || isBlind;
    write(this.count, tile ? `${place} · ${isBlind ? "drawn by people" : state}` : "");
    const share = total ? decided / total : tile && !isUnseen ? 1 : 0;
    this.meter.firstChild.style.transform = `scaleX(${share})`;
    this.meter.classList.toggle("is-full", Boolean(tile) && left === 0 && !isUnseen);
    this.meter.setAttribute("aria-valuenow", String(decided));
    this.meter.setAttribute("aria-valuemax", String(total));
  }

  /** @param {import("./types.js").Progress | null} progress */
  showProgress(progress) {
    if (!progress) return;
    const { tiles, hour } = progress;
    const number = (value) => value.toLocaleString("en");
    write(this.tiles, `${number(tiles.finished)} of ${number(tiles.total)} tiles · ${number(tiles.mine)} mine`);
    write(this.hour, `${number(hour.tiles)} tiles/h · ${number(hour.features)} features/h`);
  }

  /** @param {{unsaved: number, refused: number, problem: string, isKept: boolean}} state */
  showSaving({ unsaved, refused, problem, isKept }) {
    let [kind, text] = ["saved", "All saved"];
    if (refused) [kind, text] = ["refused", `${refused} not saved`];
    else if (unsaved && problem) [kind, text] = ["retrying", `${unsaved} unsaved, trying again`];
    else if (unsaved) [kind, text] = ["sending", `${unsaved} unsaved`];
    if (!isKept && unsaved) text += ", only in this window";
    write(this.save, text);
    this.save.dataset.state = kind;
  }

  /**
   * A line that stays until it is cleared, with buttons; null clears it.
   * @param {{kind: string, text: string, actions?: {label: string, act: () => void}[]} | null} content
   * @param {"work" | "imagery" | "saving"} [subject]
   */
  showBanner(content, subject = "work") {
    const banner = this.banners[subject];
    banner.hidden = content === null;
    if (content === null) return;
    banner.dataset.kind = content.kind;
    const buttons = (content.actions ?? []).map(({ label, act }) => make("button", { type: "button", text: label, on: { click: act } }));
    banner.replaceChildren(make("span", { text: content.text }), ...buttons);
  }
}

/** What there is to know of the current feature, and the classes it can be. */
class Card {
  constructor(run) {
    this.run = run;
    this.name = make("strong", { class: "maploop-class" });
    this.swatch = make("i", { class: "maploop-swatch" });
    this.score = make("span", { class: "maploop-score" });
    this.scale = make("span", { class: "maploop-scale" }, make("i"));
    this.marks = make("span", { class: "maploop-marks" });
    this.note = make("p", { class: "maploop-note" });
    this.facts = make("dl", { class: "maploop-facts" });
    this.classes = make("div", { class: "maploop-classes", role: "group", "aria-label": "Class" });
    this.feature = make(
      "div", { class: "maploop-feature" },
      make("div", { class: "maploop-title" }, this.swatch, this.name, this.score),
      this.scale, this.marks, this.facts,
    );
    this.element = make("aside", { class: "maploop-card" }, this.feature, this.note, this.classes);
  }

  /** @param {import("./types.js").FeatureClass[]} classes */
  setClasses(classes) {
    this.colours = new Map(classes.map((each) => [each.name, each.colour]));
    this.buttons = new Map();
    for (const each of classes) {
      const swatch = make("i", { class: `maploop-swatch is-${each.geometryType}` });
      swatch.style.setProperty("--colour", each.colour);
      const key = each.digit ? make("kbd", { text: String(each.digit) }) : null;
      const title = [each.geometryType, each.definition].filter(Boolean).join(": ");
      const button = make(
        "button", { type: "button", title, on: { click: () => this.run("class", each.name) } },
        swatch, make("span", { text: each.name }), key,
      );
      this.buttons.set(each.name, button);
    }
    this.classes.replaceChildren(...this.buttons.values());
  }

  /**
   * @param {import("./types.js").Feature | null} feature
   * @param {{note: string, className: string | null, lockedBy: string | null}} more  `className`: the class in force
   */
  show(feature, { note, className, lockedBy }) {
    this.feature.hidden = feature === null;
    write(this.note, note);
    this.note.hidden = !note;
    if (this.chosen !== className) {
      this.buttons?.get(this.chosen)?.classList.remove("is-chosen");
      this.buttons?.get(className)?.classList.add("is-chosen");
      this.chosen = className;
    }
    if (feature === null) return;
    const colour = this.colours.get(feature.class) ?? "#fff";
    if (this.colour !== colour) this.swatch.style.setProperty("--colour", (this.colour = colour));
    write(this.name, feature.class);
    write(this.score, feature.score === null ? "" : feature.score.toFixed(2));
    this.scale.hidden = feature.score === null;
    this.scale.firstChild.style.transform = `scaleX(${feature.score ?? 0})`;
    this.#mark(feature, lockedBy);
    this.#tell(feature);
  }

  #mark({ verdict, reason, remembered, predicted, class: name }, lockedBy) {
    const marks = [verdict ? [verdict, VERDICT_WORDS[verdict]] : ["undecided", "undecided"]];
    if (reason) marks.push(["plain", reason.replaceAll("_", " ")]);
    if (remembered) marks.push(["remembered", `remembered: ${VERDICT_WORDS[remembered]} before`]);
    if (lockedBy) marks.push(["locked", `decided by ${lockedBy}`]);
    if (predicted && predicted.class !== name) marks.push(["plain", `the model said ${predicted.class}`]);
    const text = marks.map((mark) => mark.join()).join("|");
    if (this.marked === text) return;
    this.marked = text;
    this.marks.replaceChildren(...marks.map(([kind, words]) => make("span", { class: `maploop-mark is-${kind}`, text: words })));
  }

  #tell({ id, properties, model }) {
    if (this.told === id) return;
    this.told = id;
    const facts = Object.entries({ ...(model ? { model } : {}), ...properties }).slice(0, MOST_PROPERTIES);
    this.facts.replaceChildren(...facts.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: String(value) })]));
  }
}
