"""The strict door for geometry that comes from a browser or a model, one GeoJSON geometry at a time."""

from collections.abc import Mapping
from typing import Any, cast

import shapely
from shapely.geometry.base import BaseGeometry

from maploop.errors import InputError
from maploop.imagery.tilemath import MAX_LATITUDE
from maploop.vectors.geometry.crossings import MAX_CROSSINGS, tangled
from maploop.vectors.geometry.kinds import MAX_LONGITUDE, GeometryType, as_geometries
from maploop.vectors.geometry.repair import as_one, repair_polygons

_GEOJSON: dict[GeometryType, tuple[str, int]] = {  # name, and lists around a position
    "polygon": ("Polygon", 2),
    "line": ("LineString", 1),
    "point": ("Point", 0),
}


def parse_geojson_geometry(obj: object, geometry_type: GeometryType, *, max_vertices: int = 2000) -> BaseGeometry:
    """Check a GeoJSON geometry from outside -> one valid, 2D, EPSG:4326 geometry of the type, rings closed.

    Several polygons or lines are one feature of several parts; a Multi geometry with one part is that part. A polygon
    that crosses itself is repaired if one part remains, and parts that overlap become one; outer rings come back
    counter-clockwise. Raises InputError.
    """
    expected, depth = _GEOJSON[geometry_type]
    if not isinstance(obj, Mapping) or not isinstance(obj.get("type"), str):
        msg = f"{_short(obj)} is not a GeoJSON geometry: it needs a type and coordinates."
        raise InputError(msg)
    kind, coordinates = obj["type"], obj.get("coordinates")
    positions = _Positions(expected, max_vertices)
    if kind == f"Multi{expected}" and isinstance(coordinates, list):
        if geometry_type == "point" and len(coordinates) > 1:
            msg = f"The {kind} has {len(coordinates)} parts: send each part as a feature of its own."
            raise InputError(msg)
        checked = positions.read(coordinates, depth + 1)
        return _one_feature([_one_valid(_build(expected, part), geometry_type) for part in checked], geometry_type)
    if kind != expected:
        msg = f"{_short(kind)} is not the geometry of a {geometry_type}: send a GeoJSON {expected}."
        raise InputError(msg)
    return _one_valid(_build(expected, positions.read(coordinates, depth)), geometry_type)


def _one_feature(parts: list[BaseGeometry], geometry_type: GeometryType) -> BaseGeometry:
    """Valid parts of one type as one valid geometry. Raises InputError."""
    whole = as_one(as_geometries(parts))
    if whole is None:
        msg = f"The parts of the {geometry_type} cross more than {MAX_CROSSINGS:,} times: draw it anew."
        raise InputError(msg)
    return whole


class _Positions:
    """Nested lists of positions, checked and counted on the way down."""

    def __init__(self, kind: str, limit: int) -> None:
        self.kind = kind
        self.limit = limit
        self.seen = 0

    def read(self, value: object, depth: int) -> Any:
        if depth > 0:
            if not isinstance(value, list | tuple) or not value:
                msg = f"{_short(value)} does not nest as the coordinates of a GeoJSON {self.kind} do."
                raise InputError(msg)
            return [self.read(item, depth - 1) for item in value]
        self.seen += 1
        if self.seen > self.limit:
            msg = f"The {self.kind} has more than {self.limit:,} vertices: simplify it."
            raise InputError(msg)
        return _position(value)


def _position(value: object) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or not 2 <= len(value) <= 4:
        msg = f"{_short(value)} is not a position: it needs longitude and latitude."
        raise InputError(msg)
    x, y = value[:2]
    for number, limit, name in ((x, MAX_LONGITUDE, "longitude"), (y, MAX_LATITUDE, "latitude")):
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= limit:
            msg = f"{_short(number)} is not a {name}: it must be a number within +-{limit:.8g} degrees."
            raise InputError(msg)
    return float(x), float(y)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _build(kind: str, coordinates: Any) -> BaseGeometry:
    try:
        if kind == "Polygon":
            return shapely.Polygon(coordinates[0], coordinates[1:])
        return shapely.LineString(coordinates) if kind == "LineString" else shapely.Point(coordinates)
    except (ValueError, shapely.errors.GEOSException) as error:
        msg = f"The {kind} has too few positions: a line needs two, a ring three."
        raise InputError(msg) from error


def _one_valid(geometry: BaseGeometry, geometry_type: GeometryType) -> BaseGeometry:
    if tangled(as_geometries([geometry])).any():
        msg = f"The {geometry_type} crosses itself more than {MAX_CROSSINGS:,} times: draw it anew."
        raise InputError(msg)
    if geometry_type == "line" and geometry.length == 0:
        msg = "The line has no length: draw at least two different points."
        raise InputError(msg)
    if geometry_type != "polygon":
        return geometry
    parts = as_geometries([geometry])
    if not geometry.is_valid:
        parts, _ = repair_polygons(parts)
    if len(parts) == 0 or parts[0].area == 0:
        msg = "The polygon encloses no area: draw at least three corners that are not on one line."
        raise InputError(msg)
    if len(parts) > 1:
        msg = f"The outline crosses itself and falls into {len(parts)} parts: draw each as a feature of its own."
        raise InputError(msg)
    return cast("BaseGeometry", shapely.orient_polygons(parts[0]))
