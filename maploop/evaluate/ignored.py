"""Predictions on ignore regions: where nobody knows the truth, they count neither way.

The rule of COCO's crowds (`iscrowd`, pycocotools' `evaluateImg`): a prediction that stands for no truth, and whose own
area lies to the IoU threshold or more within an ignore region, is left out; a region takes any number of them. Lines
are left out when half of their length lies within the tolerance of one, points within the tolerance.
"""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from maploop.evaluate.average_precision import IOU_THRESHOLDS
from maploop.evaluate.layers import Indices, Layer
from maploop.evaluate.matching import NOTHING, SHARED_LENGTH, Outcome, Rules
from maploop.evaluate.pairs import line_pairs, point_pairs
from maploop.vectors.geometry import GeometryType
from maploop.vectors.geometry.measure import to_equal_area

ANY_CLASS = -1  # as the class of an ignore region: of every class of its geometry type
_DIMENSIONS: dict[GeometryType, int] = {"point": 0, "line": 1, "polygon": 2}
_ROUNDING = 1e-8


def ignored_predictions(
    predictions: Layer,
    outcome: Outcome,
    regions: Layer,
    types: Sequence[GeometryType],
    rules: Rules,
    *,
    within_tiles: bool,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which predictions are left out by the rules, (n,), and at each of COCO's IoU thresholds, (10, n)."""
    ignored = np.zeros(len(predictions), dtype=np.bool_)
    at_thresholds = np.zeros((len(IOU_THRESHOLDS), len(predictions)), dtype=np.bool_)
    if not len(regions) or not len(predictions):
        return ignored, at_thresholds
    type_of = np.array(types, dtype=object)[predictions.class_index]
    dimensions = shapely.get_dimensions(regions.geometries)
    for geometry_type in dict.fromkeys(types):
        ours = np.flatnonzero(type_of == geometry_type)
        theirs = np.flatnonzero(dimensions == _DIMENSIONS[geometry_type])
        if not len(ours) or not len(theirs):
            continue
        share = _shares(predictions.only(ours), regions.only(theirs), geometry_type, rules, within_tiles=within_tiles)
        least = {"polygon": rules.iou_threshold, "line": SHARED_LENGTH, "point": 0.5}[geometry_type]
        ignored[ours] = (outcome.found[ours] == NOTHING) & (share >= least - _ROUNDING)
        if geometry_type == "polygon":
            at_thresholds[:, ours] = ~outcome.hits[:, ours] & (share >= IOU_THRESHOLDS[:, None] - _ROUNDING)
    return ignored, at_thresholds


def _shares(
    predictions: Layer, regions: Layer, geometry_type: GeometryType, rules: Rules, *, within_tiles: bool
) -> NDArray[np.float64]:
    """Of each prediction, the largest share of it that lies on one region; of points 1 within the tolerance, else 0."""
    i, j = _near(predictions, regions, geometry_type, rules, within_tiles=within_tiles)
    shares = np.zeros(len(predictions))
    if geometry_type == "polygon":
        a, b = to_equal_area(predictions.geometries), to_equal_area(regions.geometries)
        areas = shapely.area(a)[i]
        inside = shapely.area(shapely.intersection(a[i], b[j]))
        found = np.divide(inside, areas, out=np.zeros(len(i)), where=areas > 0)
    elif geometry_type == "line":
        alone = np.arange(len(i), dtype=np.int64)  # pair by pair
        zeros = np.zeros(len(i), dtype=np.int64)
        found = line_pairs(
            predictions.geometries[i], regions.geometries[j], alone, alone, zeros, zeros, rules.line_tolerance_m
        ).prediction_within
    else:
        found = np.ones(len(i))
    np.maximum.at(shares, i, found)
    return shares


def _near(
    predictions: Layer, regions: Layer, geometry_type: GeometryType, rules: Rules, *, within_tiles: bool
) -> tuple[Indices, Indices]:
    """Pairs of predictions and regions of one tile and class that may meet."""
    if geometry_type == "point":
        scope = np.zeros(len(predictions), dtype=np.int64), np.zeros(len(regions), dtype=np.int64)
        pairs = point_pairs(predictions.geometries, regions.geometries, *scope, rules.point_tolerance_m)
        i, j = pairs.prediction, pairs.truth
    else:
        reach = 0.0 if geometry_type == "polygon" else 2e-5 * rules.line_tolerance_m  # degrees, generously
        latitude = np.abs(shapely.bounds(predictions.geometries).reshape(-1, 4)[:, [1, 3]]).max(initial=0.0)
        reach /= max(float(np.cos(np.radians(min(latitude, 89.0)))), 0.01)
        i, j = shapely.STRtree(regions.geometries).query(predictions.geometries, predicate="dwithin", distance=reach)
    same = (regions.class_index[j] == ANY_CLASS) | (regions.class_index[j] == predictions.class_index[i])
    if within_tiles:
        same &= predictions.tile[i] == regions.tile[j]
    return np.asarray(i[same]), np.asarray(j[same])
