/**
 * Editing, moving, redrawing and adding: one at a time, each begun, kept or dropped. What is left unfinished waits on its
 * tile, also for the page to be loaded again.
 */

import { Drawing } from "./drawing.js";
import { Moving, VertexEditing } from "./editing.js";
import { touchesTile } from "./touching.js";

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
   * @param {import("./keepsakes.js").Unfinished} unfinished
   */
  constructor(map, layers, classes, tell, unfinished) {
    Object.assign(this, { map, layers, classes, tell, unfinished });
    /** @type {import("./tile.js").TileUnderReview | null} the tile that shapes have to touch */
    this.tile = null;
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
    this.#begin(kind, feature, feature?.class ?? this.#classToAdd());
    this.tell.changed();
  }

  #begin(kind, feature, className) {
    const isPoint = this.classes.get(className)?.geometryType === "point";
    const drawn = kind === "edit" && isPoint ? "move" : kind; // a point has no vertices to edit
    this.work = { kind: drawn, feature, className, tool: null };
    this.work.tool = this.#tool();
    if (feature) this.layers.conceal(feature.id, true);
    this.map.getContainer().classList.add("is-shaping");
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
    const isShaped = work.tool instanceof Drawing || work.tool.isChanged;
    const problem = isShaped ? (work.tool.problem ?? this.#outside()) : null;
    if (problem) {
      this.tell.say(problem);
      return;
    }
    const geometry = isShaped ? work.tool.geometry : null;
    if (work.kind === "add") this.lastAdded = work.className;
    this.drop();
    this.tell.kept(work, geometry);
  }

  drop() {
    if (this.work && this.tile) this.unfinished.forget(this.tile);
    this.leave();
  }

  /** Another tile is shown, or this one anew: go on with what waits there. True when something does. */
  show(tile) {
    this.tile = tile;
    const waiting = tile && this.unfinished.of(tile);
    if (!waiting) return false;
    const feature = waiting.feature === null ? null : tile.features.get(waiting.feature);
    if (feature === undefined || !this.classes.has(waiting.className)) {
      this.unfinished.forget(tile);
      return false;
    }
    this.#begin(waiting.kind, feature, waiting.className);
    this.work.tool.goOn(waiting.state);
    this.tell.changed();
    return true;
  }

  /** Leave what is under way; it waits on its tile. */
  leave() {
    const { work } = this;
    if (!work) return;
    this.work = null;
    work.tool.end();
    if (work.feature) this.layers.conceal(work.feature.id, false);
    this.map.getContainer().classList.remove("is-shaping");
    this.tell.changed();
  }

  /** Why the shape may not be where it is; null when it may. */
  #outside() {
    const { tool, className } = this.work;
    if (touchesTile(tool.geometry, this.tile.deck.tile.bounds)) return null;
    if (this.#isOfPoints) tool.takeBack();
    return `This ${this.classes.get(className).geometryType} lies outside tile ${this.tile.address}: draw it within the frame, or go to the tile where it is.`;
  }

  /** A point is whole with its first click: one in the wrong place makes room for the next. */
  get #isOfPoints() {
    return this.work.tool instanceof Drawing && this.work.tool.type === "point";
  }

  #shaped() {
    const { kind, feature, className, tool } = this.work;
    if (tool.isChanged) this.unfinished.keep(this.tile, { kind, feature: feature?.id ?? null, className, state: tool.state });
    else this.unfinished.forget(this.tile);
    this.tell.changed();
  }

  takeBack() {
    this.work.tool.takeBack();
    this.#shaped();
  }

  /** Keys that only the tool knows. @param {string} key */
  key(key) {
    return this.work.tool.key?.(key) ?? false;
  }

  #tool() {
    const { kind, feature, className } = this.work;
    const { colour, geometryType } = this.classes.get(className);
    const changed = () => this.work?.tool && this.#shaped();
    if (kind === "edit") return new VertexEditing(this.map, feature.geometry, colour, changed);
    if (kind === "move") return new Moving(this.map, feature.geometry, colour, changed);
    return new Drawing(this.map, geometryType, colour, { finished: () => this.keep(), changed });
  }

  #classToAdd() {
    return this.classes.has(this.lastAdded) ? this.lastAdded : this.classes.keys().next().value;
  }
}
