"""Geometries in units -> whole units, as an answer writes them, valid and nowhere further than a unit from the truth.

Far is measured in each coordinate by itself, as they are rounded. By the straight line no drawing could keep to a unit:
a speck halfway between two whole positions has only those two so near, and they enclose nothing.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, cast

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.vectors.geometry import parts_of_type

Points = list[tuple[int, int]]

_GROWTHS: Final = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # units; it may take so much until what is narrow is still there
_SLACK: Final = 1e-6  # units, for the numbers of the check


def rings_in_units(geometry: BaseGeometry, limit: int) -> list[list[Points]]:
    """A geometry in units (x right, y down, 0 to `limit`) -> its parts in whole units, each the outline (or line, or
    point) and then the holes.

    Whole numbers can make an outline touch itself: it is then drawn otherwise, and may come in several parts. No point
    of the geometry is further than a unit, in x or in y, from what is drawn, nor is any of what is drawn from it.
    """
    if geometry.geom_type == "Point":
        return [[_whole(shapely.get_coordinates(geometry), limit)]]
    if geometry.geom_type == "LineString":
        return [[_from_the_top(_whole_line(shapely.get_coordinates(geometry), limit))]]
    return [_rings(part) for part in _whole_polygons(geometry, limit)]


def _round(points: NDArray[np.float64], limit: int) -> NDArray[np.float64]:
    return np.clip(np.rint(points), 0, limit)


def _whole(points: NDArray[np.float64], limit: int) -> Points:
    return [(int(x), int(y)) for x, y in _round(points, limit)]


def _whole_line(points: NDArray[np.float64], limit: int) -> Points:
    whole = _whole(points, limit)
    line = [whole[0], *(point for before, point in pairwise(whole) if point != before)]
    return line if len(line) > 1 else _one_unit(points, line[0], limit)


def _one_unit(points: NDArray[np.float64], position: tuple[int, int], limit: int) -> Points:
    """A line that is all about one position is drawn a unit long, its longer way, towards where more of it is."""
    least, most = points.min(axis=0), points.max(axis=0)
    axis = int(np.argmax(most - least))
    here = position[axis]
    onward = here + 1 if (most[axis] - here >= here - least[axis] and here < limit) or here == 0 else here - 1
    return [position, (onward, position[1]) if axis == 0 else (position[0], onward)]


def _from_the_top(line: Points) -> Points:
    """Which end was drawn first says nothing about the ground: begin with the upper one, then the left one."""
    (first_x, first_y), (last_x, last_y) = line[0], line[-1]
    return line if (first_y, first_x) <= (last_y, last_x) else line[::-1]


def _whole_polygons(polygon: BaseGeometry, limit: int) -> list[BaseGeometry]:
    """What is drawn of a polygon: its corners in whole units where that is valid, as nearly always."""
    plain = shapely.transform(polygon, lambda points: _round(points, limit))
    if plain.is_valid and plain.area > 0:  # not so when a ring has shrunk to a point
        return [shapely.remove_repeated_points(plain)]
    for drawing in _drawings(polygon, plain, limit):
        drawn = _snapped(drawing)
        if not drawn.is_empty and _are_within_a_unit(polygon, drawn):
            return parts_of_type(drawn, "polygon")
    return parts_of_type(_with_squares(polygon, limit), "polygon")


def _snapped(drawing: BaseGeometry) -> BaseGeometry:
    """The polygons of a geometry in whole units, valid."""
    parts = parts_of_type(shapely.set_precision(drawing, 1.0), "polygon")
    # what they are measured with is to be no coarser than anything else
    return shapely.set_precision(shapely.MultiPolygon(cast("list[shapely.Polygon]", parts)), 0.0)


def _drawings(polygon: BaseGeometry, plain: BaseGeometry, limit: int) -> Iterator[BaseGeometry]:
    """Ways to draw a polygon whose corners in whole units, `plain`, are none: mended, or a little wider than it is."""
    yield shapely.make_valid(plain)
    square = shapely.box(0, 0, limit, limit)
    for growth in _GROWTHS:
        yield polygon.buffer(growth, join_style="bevel").intersection(square)


def _are_within_a_unit(one: BaseGeometry, other: BaseGeometry) -> bool:
    """Whether each of two polygons lies within a unit, in x and in y, of the other."""
    return bool(_within_a_unit_of(one).covers(other) and _within_a_unit_of(other).covers(one))


def _within_a_unit_of(polygon: BaseGeometry) -> BaseGeometry:
    """A polygon and all that is within a unit of it, in x and in y: the Minkowski sum with a square."""
    rings = map(shapely.get_coordinates, shapely.get_rings(shapely.get_parts(polygon)))
    edges = [np.stack([ring[:-1], ring[1:]], axis=1) for ring in rings]
    corners = (1 + _SLACK) * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
    around = np.concatenate(edges)[:, :, None, :] + corners  # edge, end, corner, coordinate
    strips = shapely.convex_hull(shapely.multipoints(around.reshape(len(around), 8, 2)))
    return polygon.union(shapely.union_all(strips))


def _with_squares(polygon: BaseGeometry, limit: int) -> BaseGeometry:
    """A polygon and all the squares between whole positions that its outline comes into.

    Each of them holds a point of the polygon, so nothing in it is further than a unit from one; its outline runs along
    their sides. Clumsy, but there always is one.
    """
    outline = shapely.segmentize(polygon.boundary, 0.5)
    corners = np.floor(shapely.get_coordinates(outline)).astype(np.int64)
    near = corners[:, None, :] + np.array([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)])
    lefts, tops = np.unique(np.clip(near.reshape(-1, 2), 0, limit - 1), axis=0).T
    squares = shapely.box(lefts, tops, lefts + 1, tops + 1)
    entered = squares[shapely.intersects(squares, outline)]
    return _snapped(shapely.union_all([polygon, *entered]))


def _rings(polygon: BaseGeometry) -> list[Points]:
    """Rings, not closed, each from its topmost (then leftmost) corner, the outline clockwise as seen."""
    polygon = shapely.orient_polygons(polygon)  # counter-clockwise with y up is clockwise with y down
    outline, *holes = (_ring(ring) for ring in shapely.get_rings(polygon))
    return [outline, *sorted(holes, key=lambda ring: (ring[0][1], ring[0][0]))]


def _ring(ring: BaseGeometry) -> Points:
    points = [(int(x), int(y)) for x, y in shapely.get_coordinates(ring)[:-1]]
    start = min(range(len(points)), key=lambda index: (points[index][1], points[index][0]))
    return points[start:] + points[:start]
