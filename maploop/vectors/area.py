"""Reads a file of polygons, or what was drawn on a map, as one area."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from maploop.errors import InputError, VectorError
from maploop.vectors.geometry import parse_geojson_geometry
from maploop.vectors.read import read_features


def read_area(path: Path | str, *, source_crs: str | None = None, layer: str | None = None) -> BaseGeometry:
    """All polygons of a file joined, valid, in EPSG:4326. Raises VectorError, also when it has none."""
    table, report = read_features(
        path, classes={"area": "polygon"}, class_name="area", source_crs=source_crs, layer=layer
    )
    if not len(table):
        why = f"; row {report.skipped[0]['row']}: {report.skipped[0]['reason']}" if report.skipped else ""
        msg = f"{path} holds no polygon to be an area{why}: draw one."
        raise VectorError(msg)
    if report.skipped:
        first = report.skipped[0]
        msg = f"{path} is no area as a whole: row {first['row']} cannot be read: {first['reason']}."
        raise VectorError(msg)
    area: BaseGeometry = shapely.union_all(table.geometries)
    return area


def area_of_drawings(drawings: Sequence[Any]) -> BaseGeometry:
    """All polygons among drawn GeoJSON features joined, valid, in EPSG:4326. Raises InputError, also without any."""
    shapes = [each.get("geometry") for each in drawings if isinstance(each, Mapping)]
    if not shapes:
        msg = "There is no area: draw one on the map, or choose a file."
        raise InputError(msg)
    area: BaseGeometry = shapely.union_all([parse_geojson_geometry(each, "polygon") for each in shapes])
    return area
