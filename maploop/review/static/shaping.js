/** Editing, moving, redrawing and adding: one at a time, each begun, kept or dropped. */

import { Drawing } from "./drawing.js";
import { Moving, VertexEditing } from "./editing.js";

const WORDS = { edit: "Editing", move: "Moving", redraw: "Redrawing", add: "Adding" };

/**
 * @typedef {"edit" | "move" | "redraw" | "add"} Kind
 * @typedef {{kind: Kind, feature: import("./types.js").Feature | null, className: string, tool: any}} Work
 */

export class Shaping {
  /**
   * @param {L.Map} map
   * @param {import("./layers.js").FeatureLayers} layers
   * @param {Map<string, import("./types.js").FeatureClass>} classes
   * @param {{changed: () => void, kept: (work: Work, geometry: object | null) => void, say: (text: string) => void}} tell
   */
  constructor(map, layers, classes, tell) {
    Object.assign(this, { map, layers, classes, tell });
    /** @type {Work | null} */
    this.work = null;
    this.lastAdded = null;
  }

  get isOn() {
    return this.work !== null;
  }

  /** What to do, in words; null when nothing is being shaped. */
  get hint() {
    if (!this.work) return null;
    const { kind, className, tool } = this.work;
    return `${WORDS[kind]} ${className}. ${tool.hint}.`;
  }

  /** Begin with a feature, or (add) with nothing. @param {Kind} kind @param {import("./types.js").Feature | null} feature */
  begin(kind, feature) {
    this.drop();
    const className = feature?.class ?? this.#classToAdd();
    const isPoint = this.classes.get(className)?.geometryType === "point";
    const drawn = kind === "edit" && isPoint ? "move" : kind; // a point has no vertices to edit
    this.work = { kind: drawn, feature, className, tool: null };
    this.work.tool = this.#tool();
    if (feature) this.layers.conceal(feature.id, true);
    this.map.getContainer().classList.add("is-shaping");
    this.tell.changed();
  }

  /** Another class: of an outline at hand one with the same kind of geometry, of a new one any. @param {string} className */
  setClass(className) {
    const { work } = this;
    const [was, will] = [work.className, className].map((name) => this.classes.get(name));
    if (was.geometryType !== will.geometryType) {
      if (work.kind !== "add") {
        this.tell.say(`${was.name} is a ${was.geometryType}, ${will.name} a ${will.geometryType}: reject it and draw anew.`);
        return;
      }
      work.className = className;
      work.tool.end();
      work.tool = this.#tool();
    }
    work.className = className;
    work.tool.paint(will.colour);
    this.tell.changed();
  }

  /** Keep the outline, unless something is wrong with it. */
  keep() {
    const { work } = this;
    const isDrawn = work.tool instanceof Drawing;
    const problem = isDrawn || work.tool.isChanged ? work.tool.problem : null;
    if (problem) {
      this.tell.say(problem);
      return;
    }
    const geometry = isDrawn || work.tool.isChanged ? work.tool.geometry : null;
    if (work.kind === "add") this.lastAdded = work.className;
    this.drop();
    this.tell.kept(work, geometry);
  }

  drop() {
    const { work } = this;
    if (!work) return;
    this.work = null;
    work.tool.end();
    if (work.feature) this.layers.conceal(work.feature.id, false);
    this.map.getContainer().classList.remove("is-shaping");
    this.tell.changed();
  }

  takeBack() {
    this.work.tool.takeBack();
    this.tell.changed();
  }

  /** Keys that only the tool knows. @param {string} key */
  key(key) {
    return this.work.tool.key?.(key) ?? false;
  }

  #tool() {
    const { kind, feature, className } = this.work;
    const { colour, geometryType } = this.classes.get(className);
    if (kind === "edit") return new VertexEditing(this.map, feature.geometry, colour);
    if (kind === "move") return new Moving(this.map, feature.geometry, colour);
    return new Drawing(this.map, geometryType, colour, { finished: () => this.keep(), changed: () => this.tell.changed() });
  }

  #classToAdd() {
    return this.classes.has(this.lastAdded) ? this.lastAdded : this.classes.keys().next().value;
  }
}
