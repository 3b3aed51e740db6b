/** Drawing what the model missed, or an outline anew: click by click; Enter, a double click or the first point end it. */

import { crossesItself, shapingStyle } from "./editing.js";

const CLOSE_PX = 9; // a click this near to the point that ends the shape ends it
const SAME_PX = 3; // the second click of a double click is no second point
const FEWEST = { polygon: 3, line: 2, point: 1 };

export class Drawing {
  /**
   * @param {L.Map} map
   * @param {"polygon" | "line" | "point"} type
   * @param {string} colour
   * @param {{finished: () => void, changed: () => void}} tell  the shape is whole; it has another point, or one less
   */
  constructor(map, type, colour, tell) {
    this.map = map;
    this.type = type;
    this.tell = tell;
    /** @type {L.LatLng[]} */
    this.points = [];
    this.cursor = null;
    const style = { ...shapingStyle(colour), interactive: false };
    this.line = L.polyline([], { ...style, fill: false, smoothFactor: 0, noClip: true }).addTo(map);
    this.area = L.polygon([], { ...style, stroke: false, smoothFactor: 0, noClip: true }).addTo(map);
    this.dots = L.layerGroup().addTo(map);
    map.on("click", this.#clicked, this);
    map.on("mousemove", this.#followed, this);
    map.on("dblclick", this.#ended, this);
  }

  get hint() {
    if (this.type === "point") return "Click where it is";
    const left = FEWEST[this.type] - this.points.length;
    if (left > 0) return `Click the ${this.type}'s corners`;
    return "Click on; Enter or a double click ends it";
  }

  get isChanged() {
    return this.points.length > 0;
  }

  get problem() {
    const fewest = FEWEST[this.type];
    if (this.points.length < fewest) return `A ${this.type} needs ${fewest} points: click ${fewest - this.points.length} more.`;
    return crossesItself(this.geometry) ? "The outline crosses itself: take points back (Backspace)." : null;
  }

  /** @returns {import("./types.js").Geometry} */
  get geometry() {
    const positions = this.points.map(({ lng, lat }) => [lng, lat]);
    if (this.type === "point") return { type: "Point", coordinates: positions[0] };
    if (this.type === "line") return { type: "LineString", coordinates: positions };
    return { type: "Polygon", coordinates: [[...positions, positions[0]]] };
  }

  /** @param {string} colour */
  paint(colour) {
    this.line.setStyle({ color: colour });
    this.area.setStyle({ fillColor: colour });
  }

  /** What is drawn so far, to go on from after a reload. */
  get state() {
    return this.points.map(({ lng, lat }) => [lng, lat]);
  }

  /** @param {number[][]} state */
  goOn(state) {
    this.points = state.map(([lng, lat]) => L.latLng(lat, lng));
    this.#show();
  }

  takeBack() {
    this.points.pop();
    this.#show();
  }

  end() {
    this.map.off("click", this.#clicked, this);
    this.map.off("mousemove", this.#followed, this);
    this.map.off("dblclick", this.#ended, this);
    for (const layer of [this.line, this.area, this.dots]) layer.remove();
  }

  #clicked({ latlng }) {
    const last = this.points.at(-1);
    if (last && this.#distance(last, latlng) <= SAME_PX) return;
    const ending = this.type === "polygon" ? this.points[0] : last;
    if (ending && this.points.length >= FEWEST[this.type] && this.#distance(ending, latlng) <= CLOSE_PX) {
      this.tell.finished();
      return;
    }
    this.points.push(latlng);
    if (this.type === "point") this.tell.finished();
    else this.#show();
  }

  #ended(event) {
    L.DomEvent.stop(event);
    if (this.points.length >= FEWEST[this.type]) this.tell.finished();
  }

  #followed({ latlng }) {
    this.cursor = latlng;
    this.#draw();
  }

  #distance(one, other) {
    return this.map.latLngToContainerPoint(one).distanceTo(this.map.latLngToContainerPoint(other));
  }

  #show() {
    this.dots.clearLayers();
    for (const [index, point] of this.points.entries()) {
      const className = index === 0 && this.type === "polygon" ? "maploop-handle is-first" : "maploop-handle";
      this.dots.addLayer(L.marker(point, { icon: L.divIcon({ className, iconSize: [12, 12] }), interactive: false, keyboard: false }));
    }
    this.#draw();
    this.tell.changed();
  }

  #draw() {
    const points = this.cursor && this.points.length ? [...this.points, this.cursor] : this.points;
    this.line.setLatLngs(this.type === "polygon" && points.length > 2 ? [...points, points[0]] : points);
    this.area.setLatLngs(this.type === "polygon" ? points : []);
  }
}
