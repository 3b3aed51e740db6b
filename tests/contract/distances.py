"""How far apart two geometries are where it is furthest, coordinate by coordinate."""

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

STEP = 0.25  # between two points that are looked at
GRID = 1e-6  # of gaps: what is smaller cannot be triangulated


def are_within(distance: float, one: BaseGeometry, other: BaseGeometry, *, by_line: bool = False) -> bool:
    """Whether no point of two geometries is further than so much from all of the other, in x or in y.

    `by_line`: measured by the straight line. Looked for at many points, so that no buffer has to be trusted.
    """
    there = _has_far_points(one, other, distance, by_line=by_line)
    return not there and not _has_far_points(other, one, distance, by_line=by_line)


def _has_far_points(geometry: BaseGeometry, other: BaseGeometry, distance: float, *, by_line: bool) -> bool:
    """Whether there are any along the outline, or along lines across what the other leaves."""
    with np.errstate(divide="ignore", invalid="ignore"):  # GEOS, at degenerate edges
        gaps = shapely.get_parts(shapely.set_precision(geometry.difference(other), GRID))
        left = [each for each in gaps if each.geom_type == "Polygon" and each.area]
        drawn = geometry.boundary if geometry.geom_type.endswith("Polygon") else geometry
        looked_at = [drawn, *shapely.get_parts(shapely.constrained_delaunay_triangles(left))]
        places = shapely.get_coordinates(shapely.segmentize(looked_at, STEP))
        shapely.prepare(other)
        near = shapely.dwithin(other, shapely.points(places), distance)  # whichever way it is measured
    if by_line:
        return not near.all()
    x, y = places[~near].T
    return not shapely.intersects(other, shapely.box(x - distance, y - distance, x + distance, y + distance)).all()
