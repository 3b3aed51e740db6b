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
from shapely.geometry.base import BaseGeometry

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
    return read_features_of_geojson(features, document.get("crs"))


def features_in(documents: list[Any]) -> list[Any]:
    """The features of several GeoJSON documents, one after another; what is none stays, for its row to say so."""
    features: list[Any] = []
    for document in documents:
        kind = document.get("type") if isinstance(document, Mapping) else None
        if kind == "FeatureCollection" and isinstance(document.get("features"), list):
            features.extend(document["features"])
        elif isinstance(kind, str) and kind in _GEOMETRIES:
            features.append({"type": "Feature", "geometry": document, "properties": {}})
        else:
            features.append(document)
    return features


def read_features_of_geojson(features: list[Any], crs: object = None) -> SourceTable:
    """Rows of GeoJSON Feature objects; what is not a Feature becomes a problem of its row.

    `crs` is the member of before RFC 7946 that says their CRS; else that of their geometries counts.
    """
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
    known, problem = _crs(crs if crs is not None else _crs_of_geometries(geometries))
    return SourceTable(built, properties, known, {**problems, **strangers}, crs_problem=problem)


def _crs_of_geometries(geometries: list[Any]) -> object:
    """The crs member that all geometries have, as PostGIS writes it; None when they have none, or several."""
    members = [each.get("crs") for each in geometries if isinstance(each, dict)]
    first = members[0] if members else None
    return first if first is not None and all(each == first for each in members) else None


def _crs(member: object) -> tuple[pyproj.CRS | None, str]:
    """The crs member of GeoJSON before RFC 7946, which GDAL and QGIS still write: a name, or the code of EPSG.

    With why it is unknown, when it is: what the member links to is not fetched.
    """
    if member is None:
        return None, ""
    try:
        properties = member["properties"]  # type: ignore[index]
        name = properties["name"] if "name" in properties else f"EPSG:{int(properties['code'])}"
        return pyproj.CRS.from_user_input(name), ""
    except (KeyError, TypeError, ValueError, pyproj.exceptions.CRSError):
        return None, f"its crs member {str(member)[:60]} is not a known CRS: give it, such as --crs EPSG:32636"


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
                geometries[start + row] = _built(chunk[row])
            except Exception as error:  # whatever a file may hold in place of coordinates
                problems[start + row] = f"its geometry is not GeoJSON: {first_line(error)}"
    return geometries, problems


def _built(item: Any) -> BaseGeometry:
    try:
        return shapely.geometry.shape(item)
    except ValueError:  # some positions have a height, others not
        return shapely.geometry.shape({"type": item["type"], "coordinates": _flattened(item["coordinates"])})


def _flattened(coordinates: Any) -> Any:
    """Nested positions without their heights."""
    if coordinates and isinstance(coordinates[0], int | float):
        return coordinates[:2]
    return [_flattened(each) for each in coordinates]


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
    listed = list(positions)
    try:
        array = np.array(listed, dtype=np.float64)
    except ValueError:  # some have a height, others not
        array = np.array([position[:2] for position in listed], dtype=np.float64)
    if array.ndim != 2 or not 2 <= array.shape[1] <= 4:
        msg = "positions need two or three numbers"
        raise ValueError(msg)
    return array[:, :2]
