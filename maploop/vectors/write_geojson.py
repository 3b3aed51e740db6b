"""GeoJSON as RFC 7946 has it, a feature a line.

Written here and not by GDAL, which moves coordinates such as 0.9999999 to the next round number.
"""

import datetime
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import orjson
import pandas
import shapely

from maploop.vectors.geometry import Geometries, as_geometries, geometry_types

DECIMALS = 8  # of a degree: a millimetre
_CHUNK = 5000


def write_geojson(frame: geopandas.GeoDataFrame, path: Path) -> None:
    """Write features in EPSG:4326 with their columns. Raises TypeError for a value that JSON does not have."""
    separator = b"\n"
    with path.open("wb") as file:
        file.write(b'{"type":"FeatureCollection","features":[')
        for start in range(0, len(frame), _CHUNK):
            lines = _feature_lines(frame.iloc[start : start + _CHUNK])
            file.write(separator + b",\n".join(lines))
            separator = b",\n"
        file.write(b"\n]}\n")


def _feature_lines(frame: geopandas.GeoDataFrame) -> list[bytes]:
    geometries = json_of_geometries(as_geometries(frame.geometry.to_numpy()))
    attributes = frame.drop(columns=frame.geometry.name)
    names = [str(name) for name in attributes.columns]
    columns = [attributes.iloc[:, place].tolist() for place in range(len(names))]
    rows = zip(*columns, strict=True) if columns else [()] * len(frame)
    lines = []
    for geometry, row in zip(geometries, rows, strict=True):
        properties = {name: _plain(value) for name, value in zip(names, row, strict=True)}
        feature = {"type": "Feature", "properties": properties, "geometry": geometry}
        lines.append(orjson.dumps(feature, option=orjson.OPT_SERIALIZE_NUMPY))
    return lines


def _plain(value: Any) -> Any:
    """A value as JSON has it; what pandas uses for missing becomes null."""
    if isinstance(value, str | int):
        return value
    if value is None or value is pandas.NA or value is pandas.NaT:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, datetime.date) else value


def json_of_geometries(geometries: Geometries) -> list[dict[str, Any] | None]:
    """GeoJSON geometry objects with rounded coordinates, outer rings counter-clockwise; None for None."""
    rounded = shapely.transform(geometries, lambda points: np.round(points, DECIMALS) + 0.0)  # no minus zero
    rounded = as_geometries(shapely.orient_polygons(rounded))
    types = geometry_types(rounded)
    objects: list[dict[str, Any] | None] = [None] * len(rounded)
    several = shapely.get_type_id(rounded) >= shapely.GeometryType.MULTIPOINT
    types[several] = ""
    for row in np.flatnonzero((types == "") & ~shapely.is_missing(rounded)).tolist():
        objects[row] = shapely.geometry.mapping(rounded[row])
    for geometry_type, kind in (("polygon", "Polygon"), ("line", "LineString"), ("point", "Point")):
        rows = np.flatnonzero((types == geometry_type) & ~shapely.is_empty(rounded))
        if len(rows):
            for row, coordinates in zip(rows.tolist(), _coordinates(rounded[rows], kind), strict=True):
                objects[row] = {"type": kind, "coordinates": coordinates}
    return objects


def _coordinates(geometries: Geometries, kind: str) -> list[Any]:
    """Nested lists of positions for single geometries of one kind."""
    _, points, offsets = shapely.to_ragged_array(geometries)
    nested: list[Any] = points[:, :2].tolist()
    for ends in offsets if kind != "Point" else ():
        nested = _nested(nested, ends.tolist())
    return nested


def _nested(items: list[Any], ends: list[int]) -> list[list[Any]]:
    return [items[start:end] for start, end in pairwise(ends)]
