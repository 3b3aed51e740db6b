"""Pairs of features of two sets that stand for the same thing, one to one, best first."""

import math
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from maploop.errors import InputError
from maploop.vectors.geometry.kinds import Geometries, GeometryType, as_geometries
from maploop.vectors.geometry.measure import iou_pairs, to_conformal, to_equal_area

MIN_SHARED_LENGTH = 0.5
_Indices = NDArray[np.int64]


class Matches(NamedTuple):
    """Matched pairs as parallel columns, best first.

    candidate, earlier      indices into the two sets; each index appears once at most
    quality                 polygons: IoU; lines: the smaller shared length; points: 1 - distance / tolerance
    """

    candidate: _Indices
    earlier: _Indices
    quality: NDArray[np.float64]


def match_features(
    candidates: Geometries,
    earlier: Geometries,
    geometry_type: GeometryType,
    *,
    iou_threshold: float = 0.5,
    tolerance_m: float = 3.0,
) -> Matches:
    """Match two sets of valid EPSG:4326 features of one type.

    Polygons match at IoU >= `iou_threshold`. Lines match when at least half of the length of each lies within
    `tolerance_m` of the other (completeness and correctness of Wiedemann, taken pair by pair). Points match within
    `tolerance_m`. Pairs are taken greedily, best first; ties go to the lower indices. Classes are the caller's
    business: match class by class. Raises InputError for a threshold or tolerance that cannot be.
    """
    if not (0 < iou_threshold <= 1 and 0 < tolerance_m < math.inf):
        msg = f"IoU threshold {iou_threshold:g} must be above 0 and at most 1, tolerance {tolerance_m:g} m above 0."
        raise InputError(msg)
    candidates, earlier = as_geometries(candidates), as_geometries(earlier)
    if len(candidates) == 0 or len(earlier) == 0:
        return Matches(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))
    if geometry_type == "polygon":
        return _one_to_one(*_polygon_pairs(candidates, earlier, iou_threshold))
    if geometry_type == "line":
        return _one_to_one(*_line_pairs(candidates, earlier, tolerance_m))
    return _one_to_one(*_point_pairs(candidates, earlier, tolerance_m))


def _polygon_pairs(
    candidates: Geometries, earlier: Geometries, threshold: float
) -> tuple[_Indices, _Indices, NDArray[np.float64]]:
    a, b = to_equal_area(candidates), to_equal_area(earlier)
    i, j = shapely.STRtree(b).query(a)
    area_a, area_b = shapely.area(a)[i], shapely.area(b)[j]
    most = np.minimum(_shared_bounds(shapely.bounds(a)[i], shapely.bounds(b)[j]), np.minimum(area_a, area_b))
    possible = (most > 0) & (most >= threshold * (area_a + area_b - most) * (1 - 1e-9))  # spares most intersections
    i, j = i[possible], j[possible]
    quality = iou_pairs(a[i], b[j])
    good = (quality >= threshold) & (quality > 0)
    return i[good], j[good], quality[good]


def _shared_bounds(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area that the bounding boxes of pairs share, rows of min x, min y, max x, max y."""
    sides: NDArray[np.float64] = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    return np.maximum(sides[:, 0], 0.0) * np.maximum(sides[:, 1], 0.0)


def _line_pairs(
    candidates: Geometries, earlier: Geometries, tolerance: float
) -> tuple[_Indices, _Indices, NDArray[np.float64]]:
    (a, a_scale), (b, b_scale) = to_conformal(candidates), to_conformal(earlier)
    i, j = shapely.STRtree(b).query(a, predicate="dwithin", distance=tolerance * a_scale)
    correctness = _share_within(a, i, b, j, tolerance * b_scale)
    good = correctness >= MIN_SHARED_LENGTH
    i, j, correctness = i[good], j[good], correctness[good]
    completeness = _share_within(b, j, a, i, tolerance * a_scale)
    good = completeness >= MIN_SHARED_LENGTH
    return i[good], j[good], np.minimum(correctness, completeness)[good]


def _share_within(
    lines: Geometries, i: _Indices, others: Geometries, j: _Indices, distance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For each pair, the share of the length of line i that is within the distance of other j."""
    used, place = np.unique(j, return_inverse=True)
    buffers = shapely.buffer(others[used], distance[used], quad_segs=4)
    paired = lines[i]
    whole = shapely.length(paired)
    inside = shapely.length(shapely.intersection(paired, buffers[place]))
    return np.divide(inside, whole, out=np.zeros(len(i)), where=whole > 0)


def _point_pairs(
    candidates: Geometries, earlier: Geometries, tolerance: float
) -> tuple[_Indices, _Indices, NDArray[np.float64]]:
    (a, scale), (b, _) = to_conformal(candidates), to_conformal(earlier)
    i, j = shapely.STRtree(b).query(a, predicate="dwithin", distance=tolerance * scale)
    metres = shapely.distance(a[i], b[j]) / scale[i]
    return i, j, 1 - metres / tolerance


def _one_to_one(i: _Indices, j: _Indices, quality: NDArray[np.float64]) -> Matches:
    order = np.lexsort((j, i, -quality))
    seen_i: set[int] = set()
    seen_j: set[int] = set()
    kept = []
    for place, candidate, previous in zip(order.tolist(), i[order].tolist(), j[order].tolist(), strict=True):
        if candidate not in seen_i and previous not in seen_j:
            seen_i.add(candidate)
            seen_j.add(previous)
            kept.append(place)
    return Matches(i[kept], j[kept], quality[kept])
