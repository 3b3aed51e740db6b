"""From a mask of roads to their centre lines, and from a mask of small things to their middles.

Coordinates are cells of the mask, x right, y down, (0, 0) the corner of the first cell; the caller scales them.
"""

from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely import LineString, Point
from skimage.morphology import remove_small_objects, skeletonize

_NARROWEST: Final = 2.0  # cells: half the width of the narrowest stripe
_TOLERANCE: Final = 0.3  # of half the width: how far a line may be moved to make it simple


def centrelines(
    mask: NDArray[np.bool_], probability: NDArray[np.float32], half_width: float, shortest: float
) -> list[tuple[LineString, float]]:
    """Centre lines of the stripes in a mask (h, w), split at crossings, with the mean probability along each.

    Gaps about as long as a stripe is wide are closed (a car, a crown); stubs no longer than that are cut, and lines
    below `shortest` cells dropped.
    """
    if not mask.any():
        return []
    gap = max(1, round(half_width / 2))
    padded = np.pad(mask, gap + 1, mode="edge")
    closed = ndimage.distance_transform_edt(~padded) <= gap
    closed = ndimage.distance_transform_edt(closed) > gap
    whole = closed[gap + 1 : -gap - 1, gap + 1 : -gap - 1] | mask
    whole = remove_small_objects(whole, max_size=int(2 * half_width * shortest * 0.5))
    whole = ndimage.gaussian_filter(whole.astype(np.float32), max(1.0, half_width / 3)) > 0.5
    skeleton = np.asarray(skeletonize(whole))  # type: ignore[no-untyped-call]
    lines = _pruned(_traced(skeleton), stub=2.5 * half_width + 2)
    found = []
    for line in lines:
        if line.length < shortest:
            continue
        steps = shapely.get_coordinates(line.interpolate(np.arange(0, line.length, 1.0)))
        columns = np.clip(steps[:, 0].astype(int), 0, mask.shape[1] - 1)
        rows = np.clip(steps[:, 1].astype(int), 0, mask.shape[0] - 1)
        simple = LineString(line.simplify(max(1.0, _TOLERANCE * half_width)).coords)
        found.append((simple, float(probability[rows, columns].mean())))
    return found


def typical_half_width(mask: NDArray[np.bool_]) -> float:
    """Half the width of the stripes in a mask (h, w), in cells: the median along their middle; at least 2."""
    ridge = np.asarray(skeletonize(mask))  # type: ignore[no-untyped-call]
    if not ridge.any():
        return _NARROWEST
    return max(_NARROWEST, float(np.median(ndimage.distance_transform_edt(mask)[ridge])))


def _traced(skeleton: NDArray[np.bool_]) -> list[LineString]:
    """The skeleton's cells joined to lines between crossings and ends."""
    solid = np.pad(skeleton, 1)
    rows, columns = np.nonzero(solid)
    segments = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        joined = solid[rows + down, columns + right]
        if down and right:  # a corner is already joined by its two sides
            joined &= ~solid[rows + down, columns] & ~solid[rows, columns + right]
        start = np.column_stack([columns[joined], rows[joined]]) - 0.5
        segments.append(np.stack([start, start + np.array([right, down])], axis=1))
    joints = np.concatenate(segments)
    if not len(joints):
        return []
    return _merged([LineString(joint) for joint in joints])


def _merged(lines: list[LineString]) -> list[LineString]:
    if not lines:
        return []
    merged = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(lines)))
    return [line for line in merged if isinstance(line, LineString) and not line.is_empty]


def _pruned(lines: list[LineString], stub: float) -> list[LineString]:
    """Cut the short dead ends that skeletons grow at every bump, shortest first, until none is left to cut."""
    for limit in (stub / 2, stub):
        ends: dict[tuple[float, float], int] = {}
        for line in lines:
            for end in (line.coords[0], line.coords[-1]):
                ends[end[0], end[1]] = ends.get((end[0], end[1]), 0) + 1

        def stays(line: LineString, limit: float = limit, ends: dict[tuple[float, float], int] = ends) -> bool:
            first, last = line.coords[0], line.coords[-1]
            loose = (ends[first[0], first[1]] == 1) + (ends[last[0], last[1]] == 1)
            return loose != 1 or line.length > limit

        lines = _merged([line for line in lines if stays(line)])
    return lines


def middles(mask: NDArray[np.bool_], probability: NDArray[np.float32], smallest: float) -> list[tuple[Point, float]]:
    """The weighted middle of every blob of at least `smallest` cells, with its mean probability."""
    numbers, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if not count:
        return []
    index = np.arange(1, count + 1)
    sizes = ndimage.sum_labels(mask, numbers, index)
    scores = np.atleast_1d(ndimage.mean(probability, numbers, index))
    places = ndimage.center_of_mass(probability, numbers, index)
    return [
        (Point(column + 0.5, row + 0.5), float(score))
        for (row, column), size, score in zip(places, sizes, scores, strict=True)
        if size >= smallest
    ]
