"""From a mask of buildings to outlines a surveyor would draw: one polygon a building, square corners where it has them.

Coordinates are cells of the mask, x right, y down; the caller scales them.
"""

from typing import Final

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely import Polygon
from shapely.affinity import rotate, scale
from shapely.geometry.base import BaseGeometry
from skimage.segmentation import watershed

_BRIDGE: Final = 6.0  # cells: what joins two buildings and is narrower than this is no building
_BOXY: Final = 0.80  # share of its bounding box from which a building is a plain rectangle
_JOG: Final = 2.5  # cells: a step shorter than this is the grid of pixels, not a corner
_FAITHFUL: Final = 0.75  # IoU with the mask that a tidied outline must keep


def separate(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number the buildings of a mask; those joined by no more than a narrow bridge are cut apart there (watershed)."""
    depth = ndimage.distance_transform_edt(mask)
    markers, _ = ndimage.label(depth > _BRIDGE / 2)
    numbers = watershed(-depth, markers, mask=mask)  # type: ignore[no-untyped-call]
    return np.asarray(numbers, dtype=np.int32)


def outlines(mask: NDArray[np.bool_], probability: NDArray[np.float32], smallest: float) -> list[tuple[Polygon, float]]:
    """Tidy polygons of a mask (h, w), each with the mean probability of its cells; below `smallest` cells none."""
    numbers = separate(mask)
    if not numbers.any():
        return []
    index = np.arange(1, int(numbers.max()) + 1)
    scores = np.atleast_1d(ndimage.mean(probability, numbers, index))
    found = []
    for shape, number in rasterio.features.shapes(numbers, mask=numbers > 0):
        rough = Polygon(shape["coordinates"][0])
        if rough.area >= smallest:
            found.append((tidy(rough), float(scores[int(number) - 1])))
    return found


def tidy(rough: Polygon) -> Polygon:
    """Straighten an outline traced from pixels: a rectangle, a shape of right angles, or the outline made simple."""
    simple = rough.simplify(1.3)
    if not isinstance(simple, Polygon) or simple.is_empty or not simple.is_valid:
        return rough
    angle = dominant_angle(simple)
    centre = rough.centroid
    level = rotate(rough, -angle, origin=centre, use_radians=True)
    left, top, right, bottom = level.bounds
    filled = level.area / ((right - left) * (bottom - top))
    if filled > _BOXY:
        straight: BaseGeometry = scale(shapely.box(left, top, right, bottom), np.sqrt(filled), np.sqrt(filled))
    else:
        straight = _right_angled(rotate(simple, -angle, origin=centre, use_radians=True))
    candidate = rotate(straight, angle, origin=centre, use_radians=True)
    if isinstance(candidate, Polygon) and candidate.is_valid and not candidate.is_empty:
        overlap = candidate.intersection(rough).area
        if overlap / (candidate.area + rough.area - overlap) >= _FAITHFUL:
            return candidate
    return simple


def dominant_angle(outline: Polygon) -> float:
    """The direction of the walls in radians, -pi/4..pi/4: long edges count most, right angles are one direction."""
    edges = np.diff(shapely.get_coordinates(outline.exterior), axis=0)
    length = np.hypot(edges[:, 0], edges[:, 1])
    direction = np.arctan2(edges[:, 1], edges[:, 0])
    return float(np.angle(np.sum(length**2 * np.exp(4j * direction))) / 4)


def _right_angled(level: Polygon) -> Polygon:
    """Snap the edges of an outline that already lies level to horizontal and vertical."""
    corners = shapely.get_coordinates(level.exterior)[:-1]
    edges = np.roll(corners, -1, axis=0) - corners
    flat = np.abs(edges[:, 0]) >= np.abs(edges[:, 1])
    short = np.hypot(edges[:, 0], edges[:, 1]) < _JOG
    flat = np.where(short & ~np.roll(short, 1), np.roll(flat, 1), flat)
    turns = np.flatnonzero(flat != np.roll(flat, 1))
    if len(turns) < 4:
        return level
    walls: list[float] = []
    for start, end in zip(turns, np.roll(turns, -1), strict=True):
        members = np.arange(start, end if end > start else end + len(corners)) % len(corners)
        across = 1 if flat[start] else 0
        weight = np.abs(edges[members, 1 - across]) + 1e-9
        walls.append(float(np.average(corners[members, across] + edges[members, across] / 2, weights=weight)))
    points = []
    for first, (wall, following) in enumerate(zip(walls, walls[1:] + walls[:1], strict=True)):
        points.append((following, wall) if flat[turns[first]] else (wall, following))
    return Polygon(points)
