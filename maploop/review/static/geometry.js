/** GeoJSON geometries, those of several parts among them: one feature may be several polygons or lines. */

/** @typedef {import("./types.js").Geometry} Geometry */

/** The single polygons, lines or points of a geometry. @param {Geometry} geometry @returns {Geometry[]} */
export function partsOf({ type, coordinates }) {
  if (!type.startsWith("Multi")) return [{ type, coordinates }];
  return coordinates.map((part) => ({ type: type.slice("Multi".length), coordinates: part }));
}

/** One geometry of single ones of a type. @param {Geometry[]} parts @returns {Geometry} */
export function together(parts) {
  if (parts.length === 1) return parts[0];
  return { type: `Multi${parts[0].type}`, coordinates: parts.map((part) => part.coordinates) };
}

/** All positions of a geometry. @param {Geometry} geometry @returns {number[][]} */
export function positions(geometry) {
  return partsOf(geometry).flatMap(({ type, coordinates }) => {
    if (type === "Point") return [coordinates];
    return type === "LineString" ? coordinates : coordinates.flat();
  });
}
