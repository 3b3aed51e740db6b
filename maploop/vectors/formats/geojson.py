"""GeoJSON: a collection, one feature, a bare geometry, or a feature a line.

Read here and not by GDAL, which stops at the first row that is not sound; each row must stand for itself.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from maploop.errors import VectorError
from maploop.vectors.formats.ogr import first_line
from maploop.vectors.formats.table import SourceTable
from maploop.vectors.geometry import Geometries, as_geometries

_CHUNK = 2000
_GEOMETRIES = frozenset(
    {"Polygon", "MultiPolygon", "LineString", "MultiLineString", "Point", "MultiPoint", "GeometryCollection"}
)


def is_geojson(document: object) -> bool:
    """Whether a parsed JSON document says that it is GeoJSON."""
    kind = document.get("type") if isinstance(document, Mapping) else None
    return isinstance(kind, str) and (kind in _GEOMETRIES or kind in ("FeatureCollection", "Feature"))


def read_geojson(document: Mapping[str, Any]) -> SourceTable:
    """The features of one GeoJSON document. Raises VectorError."""
    if document["type"] in _GEOMETRIES:
        features: object = [{"type": "Feature", "geometry": document, "properties": {}}]
    elif document["type"] == "Feature":
        features = [document]
    else:
        features = document.get("features")
    if not isinstance(features, list):
        msg = "it is a FeatureCollection without a list of features"
        raise VectorError(msg)
    table = read_features_of_geojson(features)
    table.crs = _crs(document.get("crs"))
    return table


def read_features_of_geojson(features: list[Any]) -> SourceTable:
    """Rows of GeoJSON Feature objects; what is not a Feature becomes a problem of its row."""
    geometries: list[Any] = []
    properties: list[dict[str, Any]] = []
    strangers = {}
    for row, feature in enumerate(features):
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            strangers[row] = "it is not a GeoJSON Feature"
            feature = {}  # noqa: PLW2901
        fields = feature.get("properties")
        fields = dict(fields) if isinstance(fields, dict) else {}
        if "id" in feature:
            fields.setdefault("id", feature["id"])
        geometries.append(feature.get("geometry"))
        properties.append(fields)
    built, problems = geometries_of_json(geometries)
    return SourceTable(built, properties, problems={**problems, **strangers})


def _crs(member: object) -> pyproj.CRS | None:
    """The crs member of GeoJSON before RFC 7946, which GDAL and QGIS still write."""
    if member is None:
        return None
    try:
        return pyproj.CRS.from_user_input(member["properties"]["name"])  # type: ignore[index]
    except (KeyError, TypeError, pyproj.exceptions.CRSError) as error:
        msg = f"its crs member {str(member)[:60]} is not a known CRS"
        raise VectorError(msg) from error


def geometries_of_json(objects: list[Any]) -> tuple[Geometries, dict[int, str]]:
    """GeoJSON geometry objects, None where there is none -> geometries, and row -> why it is not one.

    Coordinates may be in any unit. Built in bulk; what does not fit the bulk is built one by one.
    """
    geometries = np.full(len(objects), None, dtype=object)
    problems: dict[int, str] = {}
    for start in range(0, len(objects), _CHUNK):
        chunk = objects[start : start + _CHUNK]
        for row in _build_in_bulk(chunk, geometries[start : start + _CHUNK]):
            try:
                geometries[start + row] = shapely.geometry.shape(chunk[row])
            except Exception as error:  # whatever a file may hold in place of coordinates
                problems[start + row] = f"its geometry is not GeoJSON: {first_line(error)}"
    return geometries, problems


def _build_in_bulk(chunk: list[Any], geometries: Geometries) -> list[int]:
    """Fill in the single polygons, lines and points of a chunk; returns the rows that are left."""
    left: list[int] = []
    polygons: list[int] = []
    polygon_of_ring: list[int] = []
    rings: list[list[Any]] = []
    paths: dict[str, tuple[list[int], list[Any]]] = {"LineString": ([], []), "Point": ([], [])}
    for row, item in enumerate(chunk):
        if item is None:
            continue
        kind, coordinates = _single(item)
        if kind == "Polygon" and coordinates and all(isinstance(ring, list) and len(ring) > 3 for ring in coordinates):
            polygon_of_ring.extend([len(polygons)] * len(coordinates))
            polygons.append(row)
            rings.extend(coordinates)
        elif kind in paths and coordinates:
            paths[kind][0].append(row)
            paths[kind][1].append(coordinates)
        else:
            left.append(row)
    (line_rows, lines), (point_rows, points) = paths["LineString"], paths["Point"]
    owners = np.array(polygon_of_ring)
    left += _filled(
        geometries,
        polygons,
        lambda: shapely.polygons(as_geometries(shapely.linearrings(**_flat(rings))), indices=owners),
    )
    left += _filled(geometries, line_rows, lambda: shapely.linestrings(**_flat(lines)))
    left += _filled(geometries, point_rows, lambda: shapely.points(_positions(points)))
    return left


def _filled(geometries: Geometries, rows: list[int], build: Callable[[], object]) -> list[int]:
    """Put what is built into its rows; returns the rows when one of them spoils it."""
    try:
        if rows:
            geometries[rows] = as_geometries(build())
    except (ValueError, TypeError, OverflowError, shapely.errors.GEOSException):
        return rows
    return []


def _single(item: object) -> tuple[str, Any]:
    """Type and coordinates of a geometry object; a Multi geometry with one part is that part."""
    if not isinstance(item, dict):
        return "", None
    kind, coordinates = item.get("type"), item.get("coordinates")
    if not isinstance(kind, str) or not isinstance(coordinates, list):
        return "", None
    if kind.startswith("Multi") and len(coordinates) == 1 and isinstance(coordinates[0], list):
        return kind.removeprefix("Multi"), coordinates[0]
    return kind, coordinates


def _flat(paths: list[list[Any]]) -> dict[str, Any]:
    """Lists of positions -> all positions, and the list each is from, as shapely's bulk constructors take them."""
    lengths = np.fromiter(map(len, paths), dtype=np.int64, count=len(paths))
    indices = np.repeat(np.arange(len(paths)), lengths)
    return {"coords": _positions(chain.from_iterable(paths)), "indices": indices}


def _positions(positions: Iterable[Any]) -> NDArray[np.float64]:
    array = np.array(list(positions), dtype=np.float64)
    if array.ndim != 2 or not 2 <= array.shape[1] <= 4:
        msg = "positions need two or three numbers"
        raise ValueError(msg)
    return array[:, :2]
