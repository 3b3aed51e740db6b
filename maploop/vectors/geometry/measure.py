"""Areas, lengths and IoU on the ground, for features anywhere, never in degrees."""

from functools import lru_cache

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.vectors.geometry.kinds import Geometries, as_geometries

_EQUAL_AREA = "EPSG:6933"  # EASE-Grid 2.0: cylindrical, equal-area on the ellipsoid all over the world
_CONFORMAL = "EPSG:3395"  # World Mercator on the ellipsoid: true to shape everywhere, its scale known at every latitude
_ELLIPSOID = pyproj.Geod(ellps="WGS84")
_UTM_LATITUDES = (-80.0, 84.0)


@lru_cache(maxsize=256)
def _transformer(crs: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(4326, crs, always_xy=True)


def project(geometries: Geometries, crs: str) -> Geometries:
    """EPSG:4326 geometries in another CRS, x before y."""
    transformer = _transformer(crs)

    def step(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(points[:, 0], points[:, 1]))

    return as_geometries(shapely.transform(as_geometries(geometries), step))


def local_metric_crs(place: BaseGeometry | tuple[float, float, float, float]) -> pyproj.CRS:
    """A CRS in metres for a geometry or its west, south, east, north: UTM by its middle, near the poles UPS."""
    west, south, east, north = place.bounds if isinstance(place, BaseGeometry) else place
    longitude, latitude = (west + east) / 2, (south + north) / 2
    if latitude < _UTM_LATITUDES[0]:
        return pyproj.CRS.from_epsg(32761)
    if latitude > _UTM_LATITUDES[1]:
        return pyproj.CRS.from_epsg(32661)
    zone = min(int((longitude + 180) // 6) + 1, 60)
    return pyproj.CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone)


def area_m2(geometries: Geometries) -> NDArray[np.float64]:
    """Area of each geometry in square metres on the ellipsoid; 0 for lines and points."""
    return shapely.area(to_equal_area(geometries))


def length_m(geometries: Geometries) -> NDArray[np.float64]:
    """Geodesic length of each line in metres (polygons: of their rings); 0 for points."""
    geometries = as_geometries(geometries)
    lines, owners = shapely.get_parts(_as_lines(geometries), return_index=True)
    points, line = shapely.get_coordinates(lines, return_index=True)
    steps = np.flatnonzero(line[1:] == line[:-1])
    start, end = points[steps], points[steps + 1]
    _, _, metres = _ELLIPSOID.inv(start[:, 0], start[:, 1], end[:, 0], end[:, 1])
    lengths = np.zeros(len(geometries))
    np.add.at(lengths, owners[line[steps]], metres)
    return lengths


def _as_lines(geometries: Geometries) -> Geometries:
    return as_geometries(np.where(shapely.get_dimensions(geometries) == 2, shapely.boundary(geometries), geometries))


def iou(a: BaseGeometry, b: BaseGeometry) -> float:
    """Intersection over union of two valid polygons on the ground, 0 to 1."""
    return float(iou_pairs(*(to_equal_area(as_geometries([polygon])) for polygon in (a, b)))[0])


def iou_pairs(a: Geometries, b: Geometries) -> NDArray[np.float64]:
    """Intersection over union of polygons in a CRS of true areas, pair by pair; 0 where neither has an area."""
    both = shapely.area(shapely.intersection(a, b))
    either = shapely.area(a) + shapely.area(b) - both
    return np.divide(both, either, out=np.zeros(len(both)), where=either > 0)


def to_equal_area(geometries: Geometries) -> Geometries:
    """EPSG:4326 geometries in EPSG:6933, where areas are true all over the world (shapes are not)."""
    return project(geometries, _EQUAL_AREA)


def to_conformal(geometries: Geometries) -> tuple[Geometries, NDArray[np.float64]]:
    """EPSG:4326 geometries in EPSG:3395, and how many of its units one metre is at the middle of each.

    The projection is conformal, so a circle of that many units is a circle of one metre on the ground (Snyder, Map
    Projections, eq. 7-8: k = sqrt(1 - e^2 sin^2 lat) / cos lat).
    """
    bounds = shapely.bounds(as_geometries(geometries)).reshape(-1, 4)
    latitude = np.radians((bounds[:, 1] + bounds[:, 3]) / 2)
    scale = np.sqrt(1 - _ELLIPSOID.es * np.sin(latitude) ** 2) / np.cos(latitude)
    return project(geometries, _CONFORMAL), scale
