"""Which prediction stands for which truth: one to one, best score first.

The rule of COCO and SpaceNet: predictions by descending score, each takes the free truth of its tile and class with the
highest quality that reaches the threshold. Predictions of equal score come in the order of tile and file; of truths of
equal quality the later one is taken, as pycocotools does. Predictions without a score come last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maploop.errors import InputError
from maploop.evaluate.average_precision import IOU_THRESHOLDS
from maploop.evaluate.layers import Indices, Layer
from maploop.evaluate.pairs import Pairs, line_pairs, point_pairs, polygon_pairs
from maploop.vectors.geometry import GeometryType
from maploop.vectors.geometry.measure import to_equal_area

NOTHING = -1
SHARED_LENGTH = 0.5  # of both lines: from there on they stand for the same thing


@dataclass(frozen=True)
class Rules:
    """When two features stand for the same thing: polygons at IoU, points within a distance.

    Lines when at least half of the length of each lies within the tolerance of the other. Raises InputError.
    """

    iou_threshold: float = 0.5
    line_tolerance_m: float = 3.0
    point_tolerance_m: float = 5.0

    def __post_init__(self) -> None:
        if not 0 < self.iou_threshold <= 1:
            msg = f"{self.iou_threshold:g} is not an IoU threshold: use a number above 0, at most 1."
            raise InputError(msg)
        for what, tolerance in (("line", self.line_tolerance_m), ("point", self.point_tolerance_m)):
            if not 0 < tolerance <= 1000:
                msg = f"{tolerance:g} is not a {what} tolerance: use metres above 0, at most 1,000."
                raise InputError(msg)


@dataclass(frozen=True)
class Outcome:
    """How the predictions fared; one entry a prediction but for `truth_within`.

    order               indices of predictions, best score first
    found               the truth of the same class that each stands for, or `NOTHING`
    quality             of that pair, see `Pairs`; 0 where there is none
    found_any           the same with classes left aside, within a geometry type
    hits                (10, predictions): polygons that stand for a truth of their class at COCO's IoU thresholds
    prediction_within   lines: the share of the length within the tolerance of truth of the same class
    truth_within        of each truth, the same the other way round
    """

    order: Indices
    found: Indices
    quality: NDArray[np.float64]
    found_any: Indices
    hits: NDArray[np.bool_]
    prediction_within: NDArray[np.float64]
    truth_within: NDArray[np.float64]

    def only(self, kept: NDArray[np.bool_]) -> "Outcome":
        """How some of the predictions fared, which are numbered anew."""
        number = np.cumsum(kept) - 1
        return Outcome(
            order=number[self.order[kept[self.order]]],
            found=self.found[kept],
            quality=self.quality[kept],
            found_any=self.found_any[kept],
            hits=self.hits[:, kept],
            prediction_within=self.prediction_within[kept],
            truth_within=self.truth_within,
        )


def best_first(scores: NDArray[np.float64], scope: Indices) -> Indices:
    """Indices by descending score; equal ones by scope, then as they come; without a score last."""
    return np.lexsort((scope, -scores))


def one_to_one(pairs: Pairs, order: Indices, thresholds: Sequence[float] | NDArray[np.float64]) -> Indices:
    """Match at several thresholds -> (thresholds, predictions): the truth of each prediction, or `NOTHING`.

    `order`: all predictions, best first. Pairs hold a truth and a prediction that may be matched, each pair once.
    """
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    by_rank = np.lexsort((-pairs.truth, -pairs.quality, rank[pairs.prediction]))
    prediction, truth, quality = (column[by_rank] for column in pairs)
    found = np.full((len(thresholds), len(order)), NOTHING, dtype=np.int64)
    for row, threshold in zip(found, thresholds, strict=True):
        good = quality >= min(threshold, 1 - 1e-10)
        _take(row, prediction[good], truth[good])
    return found


def _take(found: Indices, prediction: Indices, truth: Indices) -> None:
    """Fill `found` from pairs in the order in which they may be taken."""
    if not len(prediction):
        return
    alone = (np.bincount(prediction)[prediction] == 1) & (np.bincount(truth)[truth] == 1)
    found[prediction[alone]] = truth[alone]
    taken: set[int] = set()
    matched: set[int] = set()
    for each, wanted in zip(prediction[~alone].tolist(), truth[~alone].tolist(), strict=True):
        if each not in matched and wanted not in taken:
            matched.add(each)
            taken.add(wanted)
            found[each] = wanted


def hold_against(
    predictions: Layer, truth: Layer, types: Sequence[GeometryType], rules: Rules, *, within_tiles: bool
) -> Outcome:
    """Match predictions with truth; `types` are those of the classes. Without `within_tiles`, across tiles too."""
    scope = predictions.tile if within_tiles else np.zeros_like(predictions.tile)
    outcome = Outcome(
        order=best_first(predictions.scores, scope),
        found=np.full(len(predictions), NOTHING, dtype=np.int64),
        quality=np.zeros(len(predictions)),
        found_any=np.full(len(predictions), NOTHING, dtype=np.int64),
        hits=np.zeros((len(IOU_THRESHOLDS), len(predictions)), dtype=np.bool_),
        prediction_within=np.zeros(len(predictions)),
        truth_within=np.zeros(len(truth)),
    )
    type_of_class = np.array(types, dtype=object)
    for geometry_type in dict.fromkeys(types):
        ours = np.flatnonzero(type_of_class[predictions.class_index] == geometry_type)
        theirs = np.flatnonzero(type_of_class[truth.class_index] == geometry_type)
        if len(ours) and len(theirs):
            _fill(outcome, predictions, truth, ours, theirs, geometry_type, rules, within_tiles=within_tiles)
    return outcome


def _fill(
    outcome: Outcome,
    predictions: Layer,
    truth: Layer,
    ours: Indices,
    theirs: Indices,
    geometry_type: GeometryType,
    rules: Rules,
    *,
    within_tiles: bool,
) -> None:
    """The part of the outcome that features of one geometry type have, given by their indices."""
    a, b = predictions.only(ours), truth.only(theirs)
    scopes = (a.tile, b.tile) if within_tiles else (np.zeros_like(a.tile), np.zeros_like(b.tile))
    order = best_first(a.scores, scopes[0])
    if geometry_type == "polygon":
        threshold = rules.iou_threshold
        least = min(threshold, float(IOU_THRESHOLDS[0]))
        pairs = polygon_pairs(to_equal_area(a.geometries), to_equal_area(b.geometries), *scopes, least)
    elif geometry_type == "line":
        threshold = SHARED_LENGTH
        pairs, outcome.prediction_within[ours], outcome.truth_within[theirs] = line_pairs(
            a.geometries, b.geometries, *scopes, a.class_index, b.class_index, rules.line_tolerance_m
        )
    else:
        threshold = 0.0
        pairs = point_pairs(a.geometries, b.geometries, *scopes, rules.point_tolerance_m)
    same = pairs.where(a.class_index[pairs.prediction] == b.class_index[pairs.truth])
    (found,) = one_to_one(same, order, [threshold])
    (found_any,) = one_to_one(pairs, order, [threshold])
    taken = found[same.prediction] == same.truth
    outcome.quality[ours[same.prediction[taken]]] = same.quality[taken]
    outcome.found[ours] = np.where(found == NOTHING, NOTHING, theirs[found])
    outcome.found_any[ours] = np.where(found_any == NOTHING, NOTHING, theirs[found_any])
    if geometry_type == "polygon":
        outcome.hits[:, ours] = one_to_one(same, order, IOU_THRESHOLDS) != NOTHING
