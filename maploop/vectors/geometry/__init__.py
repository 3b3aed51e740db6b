"""Geometry that reader, importer, review server and evaluation share: pure functions, nothing read or written.

Everything is EPSG:4326, x before y, unless a name says otherwise; results in metres say so in their name.

kinds       geometry types, arrays of geometries
crossings   which geometries cross themselves too often to be worked on
repair      invalid polygons made valid
parse       the strict door for geometry that comes from a browser or a model
tiling      which tiles a feature touches, and its part inside one
measure     areas, lengths and IoU on the ground
matching    pairs of features that stand for the same thing
"""

from maploop.vectors.geometry.crossings import MAX_CROSSINGS, tangled
from maploop.vectors.geometry.kinds import (
    Geometries,
    GeometryType,
    as_geometries,
    geometry_types,
    on_earth,
    parts_of_type,
)
from maploop.vectors.geometry.matching import Matches, match_features
from maploop.vectors.geometry.measure import area_m2, iou, length_m, local_metric_crs
from maploop.vectors.geometry.parse import parse_geojson_geometry
from maploop.vectors.geometry.repair import repair_polygons
from maploop.vectors.geometry.tiling import TileSplit, clip_to_tile, split_by_tiles

__all__ = [
    "MAX_CROSSINGS",
    "Geometries",
    "GeometryType",
    "Matches",
    "TileSplit",
    "area_m2",
    "as_geometries",
    "clip_to_tile",
    "geometry_types",
    "iou",
    "length_m",
    "local_metric_crs",
    "match_features",
    "on_earth",
    "parse_geojson_geometry",
    "parts_of_type",
    "repair_polygons",
    "split_by_tiles",
    "tangled",
]
