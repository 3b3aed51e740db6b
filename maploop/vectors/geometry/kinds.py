"""The three geometry types, and arrays of them."""

from typing import Literal, cast

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.imagery.tilemath import MAX_LATITUDE

GeometryType = Literal["polygon", "line", "point"]
Geometries = NDArray[np.object_]  # 1-D, of shapely geometries

MAX_LONGITUDE = 180.0
_SLACK = 1e-9  # degrees that reprojection may add to the edge of the world
_SINGLE: dict[GeometryType, int] = {
    "polygon": int(shapely.GeometryType.POLYGON),
    "line": int(shapely.GeometryType.LINESTRING),
    "point": int(shapely.GeometryType.POINT),
}
_MULTI = [int(code) for code in shapely.GeometryType if code >= shapely.GeometryType.MULTIPOINT]
_NAME_OF_CODE = np.full(len(shapely.GeometryType), "", dtype=object)
for _name, _code in _SINGLE.items():
    _NAME_OF_CODE[_code] = _name
_NAME_OF_CODE[int(shapely.GeometryType.LINEARRING)] = "line"
_NAME_OF_CODE[int(shapely.GeometryType.MULTIPOLYGON)] = "polygon"
_NAME_OF_CODE[int(shapely.GeometryType.MULTILINESTRING)] = "line"


def as_geometries(items: object) -> Geometries:
    """Any sequence of geometries (or None) as a 1-D object array."""
    return np.asarray(items, dtype=object).reshape(-1)


def geometry_types(geometries: Geometries) -> NDArray[np.object_]:
    """The `GeometryType` of each geometry, as text: that of its parts for several polygons or lines.

    Empty text for None, several points and collections. A point class takes one position a feature.
    """
    codes = shapely.get_type_id(geometries)  # -1 for None, which is the last code: a collection
    return cast("NDArray[np.object_]", _NAME_OF_CODE[codes])


def single_parts(geometries: Geometries) -> tuple[Geometries, NDArray[np.int64]]:
    """Multi-geometries and (nested) collections taken apart -> non-empty single parts, and the index each came from."""
    parts, index = geometries, np.arange(len(geometries))
    while np.isin(shapely.get_type_id(parts), _MULTI).any():
        parts, inner = shapely.get_parts(parts, return_index=True)
        index = index[inner]
    kept = ~(shapely.is_missing(parts) | shapely.is_empty(parts))
    return parts[kept], index[kept]


def parts_of_type(geometry: BaseGeometry, geometry_type: GeometryType) -> list[BaseGeometry]:
    """The non-empty single parts of the given type inside any geometry."""
    parts, _ = single_parts(as_geometries([geometry]))
    return list(parts[geometry_types(parts) == geometry_type])


def on_earth(geometries: Geometries) -> NDArray[np.bool_]:
    """Which geometries lie within +-180 and +-85.0511 degrees, where web mercator tiles are; empty ones do not."""
    limits = np.array([MAX_LONGITUDE, MAX_LATITUDE, MAX_LONGITUDE, MAX_LATITUDE]) + _SLACK
    return cast("NDArray[np.bool_]", (np.abs(shapely.bounds(geometries)) <= limits).all(axis=1))
