"""Which predictions and truths overlap, lie along or lie near each other, and how well: every pair measured once."""

from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from maploop.vectors.geometry import Geometries, as_geometries
from maploop.vectors.geometry.measure import iou_pairs, to_conformal

Indices = NDArray[np.int64]
Shares = NDArray[np.float64]
_DIGITS = 8  # rounding error of projected coordinates stays below: an IoU of exactly one half is one half


class Pairs(NamedTuple):
    """Pairs of features as parallel columns, in no order.

    prediction, truth   indices into the two sides
    quality             0 to 1, rounded to eight digits; polygons: IoU; lines: the smaller of the two shares of length
                        that lie within the tolerance of the other; points: 1 - distance / tolerance
    """

    prediction: Indices
    truth: Indices
    quality: Shares

    def where(self, chosen: NDArray[np.bool_]) -> "Pairs":
        """Some of the pairs."""
        return Pairs(self.prediction[chosen], self.truth[chosen], self.quality[chosen])


class LinePairs(NamedTuple):
    """Pairs of lines that lie along each other, and how much of each line lies along any of the other side.

    prediction_within, truth_within     0 to 1: the share of the length of each line that lies within the tolerance of
                                        lines of the other side that have its group
    """

    pairs: Pairs
    prediction_within: Shares
    truth_within: Shares


def polygon_pairs(
    predictions: Geometries, truths: Geometries, prediction_scope: Indices, truth_scope: Indices, least: float
) -> Pairs:
    """Pairs of one scope (a tile) with an IoU of at least `least`, above 0; polygons in a CRS of true areas."""
    i, j = shapely.STRtree(truths).query(predictions)
    same = prediction_scope[i] == truth_scope[j]
    i, j = i[same], j[same]
    bounds_i, bounds_j = shapely.bounds(predictions).reshape(-1, 4)[i], shapely.bounds(truths).reshape(-1, 4)[j]
    sides = np.minimum(bounds_i[:, 2:], bounds_j[:, 2:]) - np.maximum(bounds_i[:, :2], bounds_j[:, :2])
    areas_i, areas_j = shapely.area(predictions)[i], shapely.area(truths)[j]
    most = np.minimum(np.maximum(sides, 0.0).prod(axis=1), np.minimum(areas_i, areas_j))
    possible = (most > 0) & (most >= least * (areas_i + areas_j - most) * (1 - 1e-7))  # spares most intersections
    i, j = i[possible], j[possible]
    quality = np.round(iou_pairs(predictions[i], truths[j]), _DIGITS)
    return Pairs(i, j, quality).where((quality >= least) & (quality > 0))


def point_pairs(
    predictions: Geometries, truths: Geometries, prediction_scope: Indices, truth_scope: Indices, tolerance_m: float
) -> Pairs:
    """Pairs of one scope that lie within the tolerance; points in EPSG:4326."""
    (a, scale), (b, _) = to_conformal(predictions), to_conformal(truths)
    reach = tolerance_m * scale * (1 + 10.0**-_DIGITS)
    i, j = shapely.STRtree(b).query(a, predicate="dwithin", distance=reach)
    same = prediction_scope[i] == truth_scope[j]
    i, j = i[same], j[same]
    quality: Shares = 1 - shapely.distance(a[i], b[j]) / scale[i] / tolerance_m
    return Pairs(i, j, np.clip(np.round(quality, _DIGITS), 0.0, 1.0))


def line_pairs(
    predictions: Geometries,
    truths: Geometries,
    prediction_scope: Indices,
    truth_scope: Indices,
    prediction_group: Indices,
    truth_group: Indices,
    tolerance_m: float,
) -> LinePairs:
    """Pairs of one scope that share some length within the tolerance, and the shares by group (a class).

    The simple matching by buffers of Wiedemann, Heipke, Mayer and Jamet (1998), Empirical evaluation of automatically
    extracted road axes, section 3, without its check of direction. Lines in EPSG:4326.
    """
    (a, a_scale), (b, b_scale) = to_conformal(predictions), to_conformal(truths)
    i, j = shapely.STRtree(b).query(a, predicate="dwithin", distance=tolerance_m * a_scale)
    same = prediction_scope[i] == truth_scope[j]
    i, j = i[same], j[same]
    a_buffers, b_buffers = _buffers(a, i, tolerance_m * a_scale), _buffers(b, j, tolerance_m * b_scale)
    of_prediction = _inside(a[i], b_buffers[j])
    of_truth = _inside(b[j], a_buffers[i])
    grouped = prediction_group[i] == truth_group[j]
    shared: Shares = np.minimum(of_prediction, of_truth)
    pairs = Pairs(i, j, np.round(shared, _DIGITS))
    return LinePairs(
        pairs.where(pairs.quality > 0),
        _within(a, b_buffers, i[grouped], j[grouped], of_prediction[grouped]),
        _within(b, a_buffers, j[grouped], i[grouped], of_truth[grouped]),
    )


def _buffers(lines: Geometries, used: Indices, distance: Shares) -> Geometries:
    """The ground within a distance of each line that is used; None for the others."""
    buffers = np.full(len(lines), None, dtype=object)
    used = np.unique(used)
    buffers[used] = shapely.buffer(lines[used], distance[used])
    return buffers


def _inside(lines: Geometries, areas: Geometries) -> Shares:
    """The share of the length of each line inside the area beside it."""
    whole = shapely.length(lines)
    inside = shapely.length(shapely.intersection(lines, areas))
    return np.minimum(np.divide(inside, whole, out=np.zeros(len(lines)), where=whole > 0), 1.0)


def _within(lines: Geometries, buffers: Geometries, i: Indices, j: Indices, shares: Shares) -> Shares:
    """The share of the length of each line inside any of the buffers j it is paired with; `shares`: inside each."""
    within = np.zeros(len(lines))
    order = np.argsort(i, kind="stable")
    i, j, shares = i[order], j[order], shares[order]
    counts = np.bincount(i, minlength=len(lines))[i]
    within[i[counts == 1]] = shares[counts == 1]
    for count in np.unique(counts[counts > 1]).tolist():  # lines with as many neighbours each, all at once
        rows = np.flatnonzero(counts == count).reshape(-1, count)
        line = i[rows[:, 0]]
        near = as_geometries(shapely.union_all(buffers[j[rows]], axis=1))
        within[line] = _inside(lines[line], near)
    return np.round(within, _DIGITS)
