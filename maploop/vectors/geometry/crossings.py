"""How often an outline or line crosses itself: up to a limit, before anything that takes time for each crossing.

Repairing, buffering and intersecting first find all places where segments cross, and those can be half the square of
their number: a polygon of 2,000 corners can keep a processor busy for minutes and fill gigabytes.
"""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.vectors.geometry.kinds import Geometries, as_geometries

MAX_CROSSINGS = 1000  # repaired in about a hundredth of a second; an outline that a person or a model drew has a few
FEWEST_VERTICES = 48  # with fewer segments there cannot be so many crossings: n (n - 3) / 2
_MAX_PAIRS = 20_000_000  # segments whose boxes meet: looked at in about two seconds
_PAIRS_AT_ONCE = 2_000_000
_Floats = NDArray[np.float64]


def tangled(geometries: Geometries) -> NDArray[np.bool_]:
    """Which polygons and lines (single, multi or None) cross themselves so often that they must not be worked on."""
    geometries = as_geometries(geometries)
    found = np.zeros(len(geometries), dtype=np.bool_)
    large = np.flatnonzero(shapely.get_num_coordinates(geometries) >= FEWEST_VERTICES)
    areal = shapely.get_dimensions(geometries[large]) == 2
    crosses = np.where(areal, ~shapely.is_valid(geometries[large]), ~shapely.is_simple(geometries[large]))
    for place in large[crosses].tolist():
        found[place] = is_tangled(geometries[place])
    return found


def is_tangled(geometry: BaseGeometry) -> bool:
    """Whether segments of a geometry cross more than `MAX_CROSSINGS` times, or all but all lie on others."""
    segments = _segments(geometry)
    count = len(segments)
    if count < FEWEST_VERTICES - 1:
        return False
    boxes = shapely.box(
        segments[:, [0, 2]].min(axis=1),
        segments[:, [1, 3]].min(axis=1),
        segments[:, [0, 2]].max(axis=1),
        segments[:, [1, 3]].max(axis=1),
    )
    tree = shapely.STRtree(boxes)
    step = max(1, _PAIRS_AT_ONCE // count)
    pairs = crossings = touches = 0
    for start in range(0, count, step):
        first, second = tree.query(boxes[start : start + step])
        first = first + start
        later = second > first
        first, second = first[later], second[later]
        pairs += len(first)
        crossing, touching = _meet(segments[first], segments[second])
        crossings += crossing
        touches += touching
        # each segment touches the next one, and those on either side of it where the outline runs along itself
        if crossings > MAX_CROSSINGS or touches > 8 * count or pairs > _MAX_PAIRS:
            return True
    return False


def _segments(geometry: BaseGeometry) -> _Floats:
    """All segments as rows of x, y, x, y; those without a length are left out."""
    points, path = shapely.get_coordinates(_paths(geometry), return_index=True)
    joined = path[1:] == path[:-1]
    segments: _Floats = np.column_stack([points[:-1][joined], points[1:][joined]])
    return np.asarray(segments[(segments[:, :2] != segments[:, 2:]).any(axis=1)])


def _paths(geometry: BaseGeometry) -> Geometries:
    parts = shapely.get_parts(geometry)
    areal = shapely.get_dimensions(parts) == 2
    return as_geometries(np.concatenate([shapely.get_rings(parts[areal]), parts[~areal]]))


def _meet(a: _Floats, b: _Floats) -> tuple[int, int]:
    """How many pairs of segments cross in the middle of both, and how many others have a point in common."""
    a_first, a_second = _side(b, a[:, :2]), _side(b, a[:, 2:])
    b_first, b_second = _side(a, b[:, :2]), _side(a, b[:, 2:])
    across_a, across_b = a_first * a_second, b_first * b_second
    crossing = (across_a < 0) & (across_b < 0)
    touching = ~crossing & (across_a <= 0) & (across_b <= 0)
    return int(crossing.sum()), int(touching.sum())


def _side(segments: _Floats, points: _Floats) -> _Floats:
    """On which side of a segment's line a point lies: -1, 0 or 1."""
    x, y = segments[:, 0], segments[:, 1]
    dx, dy = segments[:, 2] - x, segments[:, 3] - y
    return np.asarray(np.sign(dx * (points[:, 1] - y) - dy * (points[:, 0] - x)))
