"""Longitudes beyond 180 degrees, as files around the antimeridian have them: wrapped, and cut where they cross it."""

from typing import cast

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.vectors.geometry.crossings import is_tangled
from maploop.vectors.geometry.kinds import Geometries, as_geometries, single_parts

_WORLD = 360.0
_WIDEST_JUMP = 5.0  # degrees: a feature that jumps is small; what is wide may be meant as it is


def wrap_longitudes(geometries: Geometries) -> tuple[Geometries, NDArray[np.int64]]:
    """Geometries in degrees -> those with longitudes from -180 to 180, and the indices of those that were changed.

    Longitudes of 180 to 540 or -540 to -180 are wrapped. A geometry that crosses 180 degrees, whether its longitudes go
    on (179 to 181) or jump (179 to -179, by more than half of the world in one step), is cut there into parts.
    """
    geometries = as_geometries(geometries).copy()
    bounds = shapely.bounds(geometries).reshape(-1, 4)
    with np.errstate(invalid="ignore"):
        west, east = bounds[:, 0], bounds[:, 2]
        beyond = ((east > 180) | (west < -180)) & (east <= 540) & (west >= -540)
        wide = (east - west > 180) & ~beyond
    changed = []
    for row in np.flatnonzero(beyond | wide).tolist():
        geometry = geometries[row] if beyond[row] else _unrolled(geometries[row])
        if geometry is not None and (wrapped := _wrapped(geometry)) is not None:
            geometries[row] = wrapped
            changed.append(row)
    return geometries, np.array(changed, dtype=np.int64)


def _unrolled(geometry: BaseGeometry) -> BaseGeometry | None:
    """A geometry whose longitudes jump, with those that go on; None for one that does not jump."""
    x = shapely.get_coordinates(geometry)[:, 0]
    if geometry.geom_type not in ("Polygon", "LineString") or not (np.abs(np.diff(x)) > _WORLD / 2).any():
        return None
    unrolled = shapely.transform(geometry, lambda points: points + np.where(points[:, :1] < 0, [[_WORLD, 0.0]], 0.0))
    west, _, east, _ = unrolled.bounds
    return unrolled if east - west <= _WIDEST_JUMP else None


def _wrapped(geometry: BaseGeometry) -> BaseGeometry | None:
    """The part of a geometry in each turn around the world, moved into the first; None when it cannot be cut."""
    west, _, east, _ = geometry.bounds
    turns = range(int(np.floor((west + 180) / _WORLD)), int(np.ceil((east - 180) / _WORLD)) + 1)
    inside = [turn for turn in turns if -180 + turn * _WORLD <= west and east <= 180 + turn * _WORLD]
    if inside:
        return _moved(geometry, inside[0])
    if not geometry.is_valid or is_tangled(geometry):
        return None
    pieces = []
    for turn in turns:
        strip = shapely.box(-180 + turn * _WORLD, -90, 180 + turn * _WORLD, 90)
        pieces.append(_moved(shapely.intersection(geometry, strip), turn))
    parts, _ = single_parts(as_geometries(pieces))
    dimension = shapely.get_dimensions(geometry)
    parts = parts[shapely.get_dimensions(parts) == dimension]
    make = shapely.multipolygons if dimension == 2 else shapely.multilinestrings
    return cast("BaseGeometry", make(parts))


def _moved(geometry: BaseGeometry, turn: int) -> BaseGeometry:
    return shapely.transform(geometry, lambda points: points - [turn * _WORLD, 0.0])
