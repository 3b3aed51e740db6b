/** Whether a shape touches a tile, as the server will ask: a box of longitudes and latitudes. Pure. */

import { positions } from "./geometry.js";

/** @param {import("./types.js").Geometry} geometry @param {number[]} bounds  west, south, east, north */
export function touchesTile(geometry, bounds) {
  const [west, south, east, north] = bounds;
  const isWithin = ([x, y]) => x >= west && x <= east && y >= south && y <= north;
  if (positions(geometry).some(isWithin)) return true;
  const corners = [[west, south], [east, south], [east, north], [west, north]];
  const sides = corners.map((corner, index) => [corner, corners[(index + 1) % 4]]);
  if (segments(geometry).some((segment) => sides.some((side) => cross(segment, side)))) return true;
  const middle = [(west + east) / 2, (south + north) / 2]; // of a tile that lies within a polygon
  return geometry.type.endsWith("Polygon") && lines(geometry.coordinates).some((ring) => isInside(middle, ring));
}

function segments({ type, coordinates }) {
  if (type.endsWith("Point")) return [];
  return lines(coordinates).flatMap((line) => line.slice(1).map((position, index) => [line[index], position]));
}

/** Lines and rings of whatever depth. */
function lines(coordinates) {
  return typeof coordinates[0][0] === "number" ? [coordinates] : coordinates.flatMap(lines);
}

function cross([a, b], [c, d]) {
  const side = ([px, py], [qx, qy], [rx, ry]) => Math.sign((qx - px) * (ry - py) - (qy - py) * (rx - px));
  return side(a, b, c) !== side(a, b, d) && side(c, d, a) !== side(c, d, b);
}

function isInside([x, y], ring) {
  let isOdd = false;
  for (let index = 1; index < ring.length; index += 1) {
    const [[ax, ay], [bx, by]] = [ring[index - 1], ring[index]];
    if (ay > y !== by > y && x < ax + ((y - ay) / (by - ay)) * (bx - ax)) isOdd = !isOdd;
  }
  return isOdd;
}
