/**
 * Features on the map: a bright line on a dark casing, so that it reads on any imagery; colour says the class, the line's
 * pattern and a sign say the verdict, a white halo says which one is current. Each in a pane of its own, in this order.
 */

import { make } from "./dom.js";
import { partsOf, positions } from "./geometry.js";

/** Line patterns and signs of the verdicts: told apart without any colour. */
const LOOKS = {
  undecided: { dash: null, weight: 3, opacity: 1, fill: 0.08, sign: "" },
  accept: { dash: null, weight: 2, opacity: 0.95, fill: 0.15, sign: "✓" },
  correct: { dash: "14 5", weight: 2.5, opacity: 1, fill: 0.12, sign: "✎" },
  add: { dash: "14 4 2 4", weight: 2.5, opacity: 1, fill: 0.12, sign: "+" },
  unsure: { dash: "5 5", weight: 2.5, opacity: 1, fill: 0.04, sign: "?" },
  reject: { dash: "1 6", weight: 2.5, opacity: 0.85, fill: 0, sign: "✕" },
};
const PANES = { halo: 405, casing: 410, line: 415, sign: 450 };
const POINT_RADIUS = 7;

/** @typedef {import("./types.js").Feature} Feature */

export class FeatureLayers {
  /** @param {L.Map} map @param {Map<string, import("./types.js").FeatureClass>} classes @param {(id: number | string) => void} pick */
  constructor(map, classes, pick) {
    this.map = map;
    this.classes = classes;
    this.pick = pick;
    this.renderers = {};
    for (const [name, zIndex] of Object.entries(PANES)) {
      const pane = map.createPane(`maploop-${name}`);
      pane.style.zIndex = String(zIndex);
      if (name !== "sign") this.renderers[name] = L.svg({ pane: `maploop-${name}`, padding: 0.3 });
    }
    /** @type {Map<number | string, {casing: L.Path, line: L.Path, sign: L.Marker | null, look: string}>} */
    this.drawn = new Map();
    this.halo = null;
    this.currentId = null;
  }

  /** Draw a tile's features afresh, larger ones below. @param {Feature[]} features @param {(feature: Feature) => boolean} fits */
  draw(features, fits) {
    this.clear();
    const sized = features.map((feature) => ({ feature, size: extent(feature.geometry) }));
    sized.sort((one, other) => other.size - one.size);
    for (const { feature } of sized) this.put(feature, fits(feature));
  }

  /** Draw one feature, or draw it again where its geometry or class has changed. @param {Feature} feature */
  put(feature, fits = true) {
    this.remove(feature.id);
    const casing = shape(feature.geometry, { pane: "maploop-casing", renderer: this.renderers.casing });
    const line = shape(feature.geometry, { pane: "maploop-line", renderer: this.renderers.line });
    for (const layer of [casing, line]) layer.on("click", (event) => this.#clicked(event, feature.id));
    const drawn = { casing, line, sign: null, look: "" };
    this.drawn.set(feature.id, drawn);
    this.#style(feature, drawn, fits);
    casing.addTo(this.map);
    line.addTo(this.map);
    if (feature.id === this.currentId) this.mark(feature);
  }

  /** Show a feature's verdict; cheap, and nothing when it looks the same. @param {Feature} feature */
  restyle(feature, fits = true) {
    const drawn = this.drawn.get(feature.id);
    if (drawn) this.#style(feature, drawn, fits);
  }

  /** Make one feature the current one, or none. @param {Feature | null} feature */
  mark(feature) {
    const before = this.drawn.get(this.currentId)?.line.getElement();
    before?.classList.remove("is-current");
    this.currentId = feature?.id ?? null;
    this.halo?.remove();
    this.halo = null;
    const drawn = feature && this.drawn.get(feature.id);
    if (!drawn) return;
    this.halo = L.featureGroup(
      [
        { color: "#000", weight: 13, opacity: 0.6, radius: POINT_RADIUS + 3 },
        { color: "#fff", weight: 9, opacity: 1, radius: POINT_RADIUS + 3 },
      ].map((style) =>
        shape(feature.geometry, {
          ...style, pane: "maploop-halo", renderer: this.renderers.halo, fill: false, interactive: false,
        }),
      ),
    ).addTo(this.map);
    drawn.line.getElement()?.classList.add("is-current");
  }

  /** @param {number | string} id */
  remove(id) {
    const drawn = this.drawn.get(id);
    if (!drawn) return;
    drawn.casing.remove();
    drawn.line.remove();
    drawn.sign?.remove();
    this.drawn.delete(id);
    if (id === this.currentId) {
      this.halo?.remove();
      this.halo = null;
    }
  }

  clear() {
    for (const id of [...this.drawn.keys()]) this.remove(id);
    this.currentId = null;
  }

  /** Take a feature out of sight while it is edited. @param {number | string} id @param {boolean} isHidden */
  conceal(id, isHidden) {
    const drawn = this.drawn.get(id);
    for (const layer of [drawn?.casing, drawn?.line, drawn?.sign]) {
      layer?.getElement()?.classList.toggle("is-concealed", isHidden);
    }
    this.halo?.eachLayer((layer) => layer.getElement()?.classList.toggle("is-concealed", isHidden));
  }

  /** @param {number | string} id @returns {L.LatLngBounds | null} */
  boundsOf(id) {
    const line = this.drawn.get(id)?.line;
    if (!line) return null;
    return line.getBounds && !(line instanceof L.CircleMarker) ? line.getBounds() : line.getLatLng().toBounds(8);
  }

  #clicked(event, id) {
    L.DomEvent.stopPropagation(event);
    this.pick(id);
  }

  #style(feature, drawn, fits) {
    const verdict = feature.verdict ?? "undecided";
    const colour = this.classes.get(feature.class)?.colour ?? "#ffffff";
    const look = `${verdict} ${colour} ${fits}`;
    if (drawn.look === look) return;
    const isNew = drawn.look === "";
    drawn.look = look;
    const { dash, weight, opacity, fill, sign } = LOOKS[verdict];
    const strength = fits ? 1 : 0.35;
    drawn.line.setStyle({
      color: colour, weight, opacity: opacity * strength, dashArray: dash, lineCap: verdict === "reject" ? "round" : "butt",
      fillColor: colour, fillOpacity: Math.max(fill, 0.01) * strength,
    });
    drawn.casing.setStyle({
      color: isDark(colour) ? "#fff" : "#000", weight: weight + 3, opacity: (verdict === "reject" ? 0.35 : 0.7) * strength, fill: false,
    });
    if (isNew && !sign) return;
    drawn.sign?.remove();
    drawn.sign = sign ? this.#sign(feature, sign, verdict) : null;
  }

  #sign(feature, sign, verdict) {
    const place = isArea(feature.geometry) ? "" : " is-beside"; // on top of a point it would hide it
    const element = make("span", { class: `maploop-sign is-${verdict}${place}`, text: sign });
    const icon = L.divIcon({ html: element, className: "maploop-sign-anchor", iconSize: [0, 0] });
    return L.marker(middle(feature.geometry), { icon, pane: "maploop-sign", interactive: false, keyboard: false }).addTo(this.map);
  }
}

/** A Leaflet layer of a GeoJSON geometry. @param {import("./types.js").Geometry} geometry @param {object} style */
export function shape(geometry, style) {
  const exact = { smoothFactor: 0, noClip: true, ...style };
  if (geometry.type === "Point") return L.circleMarker(latLng(geometry.coordinates), { radius: POINT_RADIUS, ...exact });
  const parts = partsOf(geometry).map(({ coordinates }) => coordinates);
  if (!isArea(geometry)) {
    const lines = parts.map((line) => line.map(latLng));
    return L.polyline(lines.length === 1 ? lines[0] : lines, { ...exact, fill: false });
  }
  const polygons = parts.map((rings) => rings.map((ring) => ring.map(latLng)));
  return L.polygon(polygons.length === 1 ? polygons[0] : polygons, exact);
}

const isArea = ({ type }) => type === "Polygon" || type === "MultiPolygon";

const latLng = ([x, y]) => L.latLng(y, x);

function extent(geometry) {
  const points = positions(geometry);
  const span = (axis) => Math.max(...points.map((point) => point[axis])) - Math.min(...points.map((point) => point[axis]));
  return isArea(geometry) ? span(0) * span(1) : 0; // lines and points always lie on top
}

/** Where a sign sits: on a point, on a line's middle vertex, in a polygon's centre of mass; of parts, the widest. */
function middle(whole) {
  const width = (part) => {
    const [xs, ys] = [0, 1].map((axis) => positions(part).map((point) => point[axis]));
    return Math.max(...xs) - Math.min(...xs) + Math.max(...ys) - Math.min(...ys);
  };
  const [geometry] = partsOf(whole).sort((one, other) => width(other) - width(one));
  if (geometry.type === "Point") return latLng(geometry.coordinates);
  if (geometry.type === "LineString") return latLng(geometry.coordinates[geometry.coordinates.length >> 1]);
  const ring = geometry.coordinates[0];
  let [x, y, doubleArea] = [0, 0, 0];
  const [x0, y0] = ring[0]; // from a corner, so that tiny differences of large numbers keep their digits
  for (let index = 1; index < ring.length; index += 1) {
    const [ax, ay, bx, by] = [ring[index - 1][0] - x0, ring[index - 1][1] - y0, ring[index][0] - x0, ring[index][1] - y0];
    const cross = ax * by - bx * ay;
    x += (ax + bx) * cross;
    y += (ay + by) * cross;
    doubleArea += cross;
  }
  return doubleArea ? latLng([x0 + x / (3 * doubleArea), y0 + y / (3 * doubleArea)]) : latLng(ring[0]);
}

function isDark(colour) {
  const [red, green, blue] = [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 90;
}
