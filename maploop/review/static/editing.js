/** Correcting an outline: its vertices with Leaflet.draw's handles, or the whole of it by mouse and arrows. */

import { partsOf, together } from "./geometry.js";
import { shape } from "./layers.js";

const NUDGES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const handle = () => L.divIcon({ className: "maploop-handle", iconSize: [12, 12] });

/**
 * Both kinds answer `geometry`, `isChanged` and `complete` (a problem in words, or null), take points back, and end.
 * @typedef {import("./types.js").Geometry} Geometry
 */

/**
 * Vertices: drag one, drag a middle to make one, click one to remove it. Holes have handles too. Leaflet.draw cannot edit
 * a layer of several parts, so that each part is a layer of its own; kept together, they are one feature again.
 */
export class VertexEditing {
  hint = "Drag a vertex or a middle; click a vertex to remove it";

  /** @param {L.Map} map @param {Geometry} geometry @param {string} colour @param {() => void} changed */
  constructor(map, geometry, colour, changed) {
    this.map = map;
    this.colour = colour;
    this.changed = changed;
    this.past = [geometry];
    this.#begin(geometry);
  }

  get geometry() {
    return this.past.at(-1);
  }

  get isChanged() {
    return this.past.length > 1;
  }

  get problem() {
    return crossesItself(this.geometry) ? "The outline crosses itself: drag its vertices apart." : null;
  }

  /** @param {string} colour */
  paint(colour) {
    this.colour = colour;
    for (const layer of this.layers) layer.setStyle({ color: colour });
  }

  /** What was done so far, to go on from after a reload. */
  get state() {
    return this.past.slice(1);
  }

  /** @param {Geometry[]} state */
  goOn(state) {
    this.past.push(...state);
    this.end();
    this.#begin(this.geometry);
  }

  takeBack() {
    if (!this.isChanged) return;
    this.past.pop();
    this.end();
    this.#begin(this.geometry);
  }

  end() {
    for (const layer of this.layers) {
      layer.editing.disable();
      layer.remove();
    }
  }

  #begin(geometry) {
    this.layers = partsOf(geometry).map((part) => this.#layer(part));
    for (const layer of this.layers) {
      layer.on("edit", () => {
        this.past.push(together(this.layers.map(toGeometry)));
        this.changed();
      });
      layer.editing.enable();
    }
  }

  #layer(part) {
    const layer = shape(part, { ...shapingStyle(this.colour), poly: { allowIntersection: true, icon: handle() } });
    layer.addTo(this.map);
    if (part.type === "Polygon") layer.editing.latlngs = layer.getLatLngs(); // handles for the holes, too
    return layer;
  }
}

/** The whole outline: drag it, or nudge it by arrows (with Shift by ten pixels). */
export class Moving {
  hint = "Drag it, or nudge it with the arrows (Shift: further)";

  /** @param {L.Map} map @param {Geometry} geometry @param {string} colour @param {() => void} changed */
  constructor(map, geometry, colour, changed) {
    this.map = map;
    this.changed = changed;
    this.original = geometry;
    this.past = [[0, 0]];
    this.zoom = map.getZoom();
    this.layer = shape(geometry, { ...shapingStyle(colour), className: "maploop-movable" }).addTo(map);
    this.start = null;
    this.layer.on("mousedown", (event) => this.#grab(event));
    map.on("mousemove", this.#drag, this);
    map.on("mouseup", this.#letGo, this);
  }

  get geometry() {
    return this.#moved(this.past.at(-1));
  }

  get isChanged() {
    return this.past.at(-1).some((each) => each !== 0);
  }

  get problem() {
    return null;
  }

  /** @param {string} colour */
  paint(colour) {
    this.layer.setStyle({ color: colour });
  }

  /** What was done so far, to go on from after a reload. */
  get state() {
    return { zoom: this.zoom, past: this.past };
  }

  /** @param {{zoom: number, past: number[][]}} state */
  goOn({ zoom, past }) {
    Object.assign(this, { zoom, past });
    this.#show(this.geometry);
  }

  /** Arrows nudge. @param {string} key @returns {boolean} */
  key(key) {
    const nudge = NUDGES[key.replace("Shift+", "")];
    if (!nudge) return false;
    const step = (key.startsWith("Shift+") ? 10 : 1) * this.map.getZoomScale(this.zoom, this.map.getZoom());
    const [x, y] = this.past.at(-1);
    this.past.push([x + nudge[0] * step, y + nudge[1] * step]);
    this.#show(this.geometry);
    this.changed();
    return true;
  }

  takeBack() {
    if (this.past.length > 1) this.past.pop();
    this.#show(this.geometry);
  }

  end() {
    this.map.off("mousemove", this.#drag, this);
    this.map.off("mouseup", this.#letGo, this);
    this.map.dragging.enable();
    this.layer.remove();
  }

  #grab(event) {
    L.DomEvent.stop(event);
    this.map.dragging.disable();
    this.start = this.map.project(event.latlng, this.zoom);
  }

  #drag(event) {
    if (this.start) this.#show(this.#moved(this.#reached(event)));
  }

  #letGo(event) {
    if (!this.start) return;
    this.past.push(this.#reached(event));
    this.start = null;
    this.map.dragging.enable();
    this.changed();
  }

  #reached(event) {
    const way = this.map.project(event.latlng, this.zoom).subtract(this.start);
    const [x, y] = this.past.at(-1);
    return [x + way.x, y + way.y];
  }

  #show(geometry) {
    const fresh = shape(geometry, {});
    if (this.layer.setLatLngs) this.layer.setLatLngs(fresh.getLatLngs());
    else this.layer.setLatLng(fresh.getLatLng());
  }

  /** Moved in the map's projection, so that the shape keeps its form. */
  #moved([x, y]) {
    if (x === 0 && y === 0) return this.original;
    const move = ([longitude, latitude]) => {
      const place = this.map.unproject(this.map.project(L.latLng(latitude, longitude), this.zoom).add([x, y]), this.zoom);
      return [place.lng, place.lat];
    };
    const deep = (value) => (typeof value[0] === "number" ? move(value) : value.map(deep));
    return { type: this.original.type, coordinates: deep(this.original.coordinates) };
  }
}

/** How an outline looks while it is shaped. @param {string} colour */
export function shapingStyle(colour) {
  return { color: colour, weight: 3, opacity: 1, fillColor: colour, fillOpacity: 0.1, dashArray: null, className: "maploop-shaping" };
}

/** GeoJSON of a layer with all digits: Leaflet's own rounds to a tenth of a metre. @param {L.Polyline} layer @returns {Geometry} */
export function toGeometry(layer) {
  const position = ({ lng, lat }) => [lng, lat];
  if (!(layer instanceof L.Polygon)) return { type: "LineString", coordinates: layer.getLatLngs().map(position) };
  const closed = (ring) => [...ring.map(position), position(ring[0])];
  return { type: "Polygon", coordinates: layer.getLatLngs().map(closed) };
}

/** Whether the outer ring of a polygon, or of a part, properly crosses itself. @param {Geometry} geometry */
export function crossesItself(geometry) {
  return partsOf(geometry).some(({ type, coordinates }) => type === "Polygon" && ringCrossesItself(coordinates[0]));
}

function ringCrossesItself(ring) {
  const side = ([ax, ay], [bx, by], [cx, cy]) => Math.sign((bx - ax) * (cy - ay) - (by - ay) * (cx - ax));
  for (let i = 0; i + 1 < ring.length; i += 1) {
    for (let j = i + 2; j + 1 < ring.length; j += 1) {
      const [a, b, c, d] = [ring[i], ring[i + 1], ring[j], ring[j + 1]];
      if (side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0) return true;
    }
  }
  return false;
}
