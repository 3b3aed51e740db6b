"""Annotations of a tile -> the answer a perfect model would give: one text for one truth."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.errors import InputError
from maploop.imagery.tilemath import Tile, to_pixels
from maploop.vectors.geometry import clip_to_tile, parts_of_type

if TYPE_CHECKING:
    from maploop.contract.prompt import Contract

_GROWTHS = (
    0.0,
    0.125,
    0.25,
    0.5,
    0.75,
    1.0,
)  # units; what it may take until something narrower than a unit is still there
_STEP = 0.25  # units between two points of an outline whose distances are measured
_Points = list[tuple[int, int]]


def render_answer(annotations: Iterable[tuple[str, BaseGeometry]], tile: Tile, contract: "Contract") -> str:
    """The canonical answer for a tile as compact JSON: features in the order of the classes, then top to bottom, left
    to right.

    `annotations` are class names with valid polygons, lines or points in EPSG:4326; they are clipped to the tile here.
    Raises InputError for a class that the contract does not know.
    """
    dialect = contract.coordinates
    limit = contract.limit
    ranks = {name: rank for rank, name in enumerate(contract.geometry_types)}
    entries: list[tuple[Any, dict[str, Any]]] = []
    for class_name, geometry in annotations:
        if class_name not in ranks:
            msg = f"{class_name!r} is not a class of the prompt: use {', '.join(ranks)}."
            raise InputError(msg)
        for part in clip_to_tile(geometry, tile):
            for outline, *holes in rings_in_units(to_pixels(part, tile, limit), limit):
                feature = {
                    "class": class_name,
                    "geometry": contract.geometry_types[class_name],
                    "points": [dialect.write(*point) for point in outline],
                    "holes": [[dialect.write(*point) for point in hole] for hole in holes],
                }
                left, top = np.min(outline, axis=0).tolist()
                entries.append(((ranks[class_name], top, left, outline, holes), feature))
    entries.sort(key=lambda entry: entry[0])
    return orjson.dumps({"features": [feature for _, feature in entries]}).decode()


def rings_in_units(geometry: BaseGeometry, limit: int) -> list[list[_Points]]:
    """A geometry in units (x right, y down) -> its parts in whole units, each the outline (or line, or point) and then
    the holes.

    Whole numbers can make an outline touch itself: it is then mended, and may come in several parts. Nothing moves by
    more than a unit; what is narrower than a unit may by two, as it has to be drawn wider than it is, and so may what
    stands beside a gap that narrow.
    """
    if geometry.geom_type == "Point":
        return [[_whole(shapely.get_coordinates(geometry), limit)]]
    if geometry.geom_type == "LineString":
        return [[_from_the_top(_whole_line(shapely.get_coordinates(geometry), limit))]]
    return [_rings(part) for part in _whole_polygons(geometry, limit)]


def _round(points: NDArray[np.float64], limit: int) -> NDArray[np.float64]:
    return np.clip(np.rint(points), 0, limit)


def _whole(points: NDArray[np.float64], limit: int) -> _Points:
    return [(int(x), int(y)) for x, y in _round(points, limit)]


def _whole_line(points: NDArray[np.float64], limit: int) -> _Points:
    whole = _whole(points, limit)
    line = [whole[0], *(point for before, point in pairwise(whole) if point != before)]
    if len(line) > 1:
        return line
    (x, y), (run, rise) = line[0], points[-1] - points[0]
    if abs(run) >= abs(rise):  # shorter than a unit: drawn as one
        return [(x, y), (x + 1 if x < limit else x - 1, y)]
    return [(x, y), (x, y + 1 if y < limit else y - 1)]


def _from_the_top(line: _Points) -> _Points:
    """Which end was drawn first says nothing about the ground: begin with the upper one, then the left one."""
    (first_x, first_y), (last_x, last_y) = line[0], line[-1]
    return line if (first_y, first_x) <= (last_y, last_x) else line[::-1]


def _whole_polygons(polygon: BaseGeometry, limit: int) -> list[BaseGeometry]:
    plain = shapely.transform(polygon, lambda points: _round(points, limit))
    if plain.is_valid and plain.area > 0:  # not so when a ring has shrunk to a point
        return [shapely.remove_repeated_points(plain)]
    drawings: list[tuple[float, list[BaseGeometry]]] = []
    for drawing in _drawings(polygon, plain, limit):
        parts = parts_of_type(shapely.set_precision(drawing, 1.0), "polygon")
        drawn = shapely.union_all(parts)
        if drawn.is_empty:
            continue
        off = max(_farthest(polygon, drawn), _farthest(drawn, polygon))
        if off <= 1:
            return parts
        drawings.append((off, parts))
    return min(drawings, key=lambda each: each[0])[1] if drawings else []


def _drawings(polygon: BaseGeometry, plain: BaseGeometry, limit: int) -> Iterator[BaseGeometry]:
    """Ways to draw a polygon whose corners in whole units, `plain`, are none: mended, or a little wider than it is."""
    yield shapely.make_valid(plain)
    square = shapely.box(0, 0, limit, limit)
    for growth in _GROWTHS:
        yield polygon.buffer(growth, join_style="bevel").intersection(square)


def _farthest(polygon: BaseGeometry, other: BaseGeometry) -> float:
    """How far from the other one a point of a polygon can be, from points on its outline and in what the other leaves.

    Not by buffers: with a wide one, GEOS now and then leaves out a part.
    """
    outline = shapely.get_coordinates(shapely.segmentize(polygon.boundary, _STEP))
    places = [outline]
    for gap in parts_of_type(polygon.difference(other), "polygon"):
        places.append(shapely.get_coordinates(shapely.maximum_inscribed_circle(cast("shapely.Polygon", gap)))[:1])
    return float(shapely.distance(shapely.points(np.vstack(places)), other).max())


def _rings(polygon: BaseGeometry) -> list[_Points]:
    """Rings, not closed, each from its topmost (then leftmost) corner, the outline clockwise as seen."""
    polygon = shapely.orient_polygons(polygon)  # counter-clockwise with y up is clockwise with y down
    outline, *holes = (_ring(ring) for ring in shapely.get_rings(polygon))
    return [outline, *sorted(holes, key=lambda ring: (ring[0][1], ring[0][0]))]


def _ring(ring: BaseGeometry) -> _Points:
    points = [(int(x), int(y)) for x, y in shapely.get_coordinates(ring)[:-1]]
    start = min(range(len(points)), key=lambda index: (points[index][1], points[index][0]))
    return points[start:] + points[:start]
