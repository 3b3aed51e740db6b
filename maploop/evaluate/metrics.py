"""The whole evaluation: predictions against truth, per class and over all, each figure with its n and interval."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maploop.evaluate.average_precision import (
    IOU_THRESHOLDS,
    among_best,
    has_ranking,
    precision_at_recalls,
    weighted_average_precisions,
)
from maploop.evaluate.counts import (
    RATES,
    SCORE_STEPS,
    SIZE_NAMES,
    Counts,
    Floats,
    added,
    count,
    figures,
    left_out,
    rates,
    size_limits,
    summed,
)
from maploop.evaluate.ignored import ignored_predictions
from maploop.evaluate.layers import Indices, Layer
from maploop.evaluate.lines import join_lines
from maploop.evaluate.matching import NOTHING, Outcome, Rules, hold_against
from maploop.quality.intervals import (
    Folds,
    Interval,
    Replicates,
    Support,
    as_metric,
    f1_interval,
    plain_interval,
    share_interval,
)
from maploop.quality.statistics import Metric
from maploop.vectors.geometry import GeometryType

Unit = Literal["m2", "m"]
_RESTS_ON = {  # the count that each figure divides by
    "f1": "either",
    "precision": "predicted",
    "recall": "truths",
    "mean_iou": "overlapping",
    "mean_nearness": "near",
    "completeness": "truths",
    "correctness": "predicted",
    "quality": "either",
    "count_error": "truths",
    "count_error_per_tile": "tiles",
}
SHARES = (  # figures between 0 and 1
    *RATES,
    "mean_iou",
    "ap50",
    "ap",
    "mean_nearness",
    "completeness",
    "correctness",
    "quality",
)


@dataclass(frozen=True)
class Band:
    """Part of an evaluation: predictions of at least a score, or features of a range of sizes.

    low, high   the score from which predictions count, or sizes above `low` up to `high` in m2 or m; None: no limit
    """

    low: float | None
    high: float | None
    tp: int
    fp: int
    fn: int
    figures: Mapping[str, Metric]
    name: str = ""


@dataclass(frozen=True)
class Scores:
    """How predictions of one class, or of all, fared. Pairs are one to one, see `matching`.

    figures     by name, only those that the geometry type has: precision, recall, f1, count_error (predicted minus
                true, over true), count_error_per_tile (mean absolute difference); polygons: mean_iou (of the pairs),
                ap50, ap (AP@[.5:.95]); lines: completeness, correctness, quality (by length, Wiedemann 1998); points:
                mean_distance_m (of the pairs). Over all classes, ap50 and ap are means of those of the classes.
    by_score    empty when no prediction has a score
    by_size     m2 of polygons, metres of lines: thirds of the truth of the class; empty over all classes
    missed_in_failed_tiles      of `fn`, those on tiles for which the model gave no usable answer
    """

    geometry_type: GeometryType | None
    tp: int
    fp: int
    fn: int
    figures: Mapping[str, Metric]
    by_score: tuple[Band, ...]
    by_size: tuple[Band, ...]
    missed_in_failed_tiles: int


@dataclass(frozen=True)
class Confusion:
    """What was taken for what: pairs matched with classes left aside, among features of one geometry type.

    table       (classes, classes): row the true class, column the predicted one
    missed      true features of each class that nothing was predicted for
    spurious    predicted features of each class that stand for nothing
    """

    table: NDArray[np.int64]
    missed: NDArray[np.int64]
    spurious: NDArray[np.int64]


@dataclass(frozen=True)
class Evaluation:
    """What came out, over how many tiles in how many split blocks; the model failed on some of the tiles."""

    classes: Mapping[str, Scores]
    overall: Scores
    confusion: Confusion
    rules: Rules
    tiles: int
    failed_tiles: int
    blocks: int


Spreads = Mapping[str | None, Mapping[str, Replicates]]  # by class, None for all together: each figure


@dataclass(frozen=True)
class Detail:
    """An evaluation with what it was made from, for those who compare several on the same tiles.

    predictions     those that count: none of tiles where the model failed
    counts          (tiles, 3): found, false and missed on each tile
    spreads         figures without each fold in turn; equal folds, so that two of them may be subtracted
    folds           the blocks of the tiles, as they are left out
    """

    evaluation: Evaluation
    predictions: Layer
    outcome: Outcome
    counts: Floats
    spreads: Spreads
    folds: Folds


def evaluate(
    truth: Layer,
    predictions: Layer,
    classes: Mapping[str, GeometryType],
    tiles: int,
    rules: Rules,
    *,
    within_tiles: bool = True,
    failed: NDArray[np.bool_] | None = None,
    max_detections: int | None = None,
    blocks: Indices | None = None,
    ignored: Layer | None = None,
) -> Evaluation:
    """Hold predictions against the truth, with lines joined on both sides; see `evaluate_in_detail`, `join_lines`."""
    types = list(classes.values())
    return evaluate_in_detail(
        join_lines(truth, types, within_tiles=within_tiles),
        join_lines(predictions, types, within_tiles=within_tiles),
        classes,
        tiles,
        rules,
        within_tiles=within_tiles,
        failed=failed,
        max_detections=max_detections,
        blocks=blocks,
        ignored=ignored,
    ).evaluation


def evaluate_in_detail(
    truth: Layer,
    predictions: Layer,
    classes: Mapping[str, GeometryType],
    tiles: int,
    rules: Rules,
    *,
    within_tiles: bool = True,
    failed: NDArray[np.bool_] | None = None,
    max_detections: int | None = None,
    blocks: Indices | None = None,
    ignored: Layer | None = None,
) -> Detail:
    """Hold predictions against the truth; lines count as they are, so join them first.

    tiles               how many there are, with and without features
    within_tiles        features meet on their tile only; else the tile is but a place to draw
    failed              (tiles,): no usable answer, so whatever is there counts as missed, and predictions as not made
    max_detections      for average precision: of a class on a tile only so many best, 100 in COCO; None: all
    blocks              (tiles,): the split block of each tile, any numbers: what intervals are taken over; None: each
                        tile is a block of its own
    ignored             regions where nobody knows the truth: predictions on them that stand for none count neither way
    """
    failed = np.zeros(tiles, dtype=np.bool_) if failed is None else failed
    predictions = predictions.only(~failed[predictions.tile])
    types = list(classes.values())
    outcome = hold_against(predictions, truth, types, rules, within_tiles=within_tiles)
    ranking = _Ranking(predictions, outcome, np.zeros_like(outcome.hits))
    if ignored is not None and len(ignored):
        left_out, at_thresholds = ignored_predictions(
            predictions, outcome, ignored, types, rules, within_tiles=within_tiles
        )
        ranking = _Ranking(predictions, outcome, at_thresholds)
        predictions, outcome = predictions.only(~left_out), outcome.only(~left_out)
    folds = Folds(np.arange(tiles, dtype=np.int64) if blocks is None else blocks)
    scores: dict[str, Scores] = {}
    spreads: dict[str | None, Mapping[str, Replicates]] = {}
    counted: list[Counts] = []
    precisions: list[_AveragePrecision] = []
    for index, (name, geometry_type) in enumerate(classes.items()):
        counts = count(truth, predictions, outcome, index, geometry_type, tiles, failed)
        counted.append(counts)
        found, spreads[name] = _figures(counts, folds, rules)
        ranked = has_ranking(predictions.scores[predictions.class_index == index])
        if geometry_type == "polygon":
            precision = _average_precision(truth, ranking, index, folds, max_detections, within_tiles=within_tiles)
            precisions.append(precision)
            found |= precision.figures(folds)
            spreads[name] = {**spreads[name], **precision.spreads()}
        limits = size_limits(truth.only(truth.class_index == index)).tolist()
        scores[name] = _scores(geometry_type, counts, found, folds, limits, ranked=ranked)
    total = added(counted)
    found, spreads[None] = _figures(total, folds, rules)
    if precisions:
        precision = _mean(precisions)
        found |= precision.figures(folds)
        spreads[None] = {**spreads[None], **precision.spreads()}
    ranked = has_ranking(predictions.scores)
    evaluation = Evaluation(
        classes=scores,
        overall=_scores(None, total, found, folds, [], ranked=ranked),
        confusion=_confusion(truth, predictions, outcome, len(classes)),
        rules=rules,
        tiles=tiles,
        failed_tiles=int(failed.sum()),
        blocks=folds.blocks,
    )
    by_tile = np.column_stack([total[name] for name in ("tp", "fp", "fn")])
    return Detail(evaluation, predictions, outcome, by_tile, spreads, folds)


def spread_over(detail: Detail, asked: NDArray[np.bool_], counted: NDArray[np.bool_]) -> Detail:
    """The detail of an evaluation on some tiles, in columns of all tiles and all truth.

    asked       (tiles,): those it was made on, in their order
    counted     (truth,): the features that lie on these
    """
    rows, outcome = np.flatnonzero(counted), detail.outcome
    counts = np.zeros((len(asked), detail.counts.shape[1]))
    counts[asked] = detail.counts
    within = np.zeros(len(counted))
    within[rows] = outcome.truth_within

    def placed(found: Indices) -> Indices:
        return np.where(found == NOTHING, NOTHING, rows[found] if len(rows) else NOTHING)

    return replace(
        detail,
        predictions=detail.predictions.moved(np.flatnonzero(asked)[detail.predictions.tile]),
        outcome=replace(outcome, found=placed(outcome.found), found_any=placed(outcome.found_any), truth_within=within),
        counts=counts,
    )


def _figures(counts: Counts, folds: Folds, rules: Rules) -> tuple[dict[str, Metric], dict[str, Replicates]]:
    """The figures of one class or of all that are one number each, and the same without each fold."""
    plain = {name: values for name, values in counts.items() if values.shape[1] == 1}
    value, spread = figures(summed(plain)), figures(left_out(plain, folds))
    plain["either"] = plain["tp"] + plain["fp"] + plain["fn"]
    result: dict[str, Metric] = {}
    spreads: dict[str, Replicates] = {}
    for name, each in value.items():
        rests_on = plain[_RESTS_ON[name]][:, 0]
        spreads[name] = Replicates(spread[name][:, 0], folds.support(rests_on), int(rests_on.sum()))
        result[name] = _metric(name, float(each[0, 0]), spreads[name], folds)
    if nearness := result.pop("mean_nearness", None):
        result["mean_distance_m"] = _as_distance(nearness, rules.point_tolerance_m)
        near = spreads.pop("mean_nearness")
        spreads["mean_distance_m"] = replace(near, values=(1 - near.values) * rules.point_tolerance_m)
    return result, spreads


def _metric(name: str, value: float, spread: Replicates, folds: Folds) -> Metric:
    if not np.isfinite(value):
        return Metric(None, 0, spread.items)
    return as_metric(value, spread.items, figure_interval(name, value, spread), len(folds.block))


def figure_interval(name: str, value: float, spread: Replicates) -> Interval:
    """The 95 % interval of a figure by its name."""
    if name == "f1":
        return f1_interval(value, spread)
    if name in SHARES:
        return share_interval(value, spread, counted=name in RATES)
    return plain_interval(value, spread, least=0.0 if name == "count_error_per_tile" else -1.0)


def _as_distance(nearness: Metric, tolerance: float) -> Metric:
    """1 - distance / tolerance, back in metres."""
    value, low, high = (
        None if each is None else (1 - each) * tolerance for each in (nearness.value, nearness.high, nearness.low)
    )
    return replace(nearness, value=value, low=low, high=high)


def _scores(
    geometry_type: GeometryType | None,
    counts: Counts,
    found: dict[str, Metric],
    folds: Folds,
    limits: list[float],
    *,
    ranked: bool,
) -> Scores:
    sums = {name: int(counts[name].sum()) for name in ("tp", "fp", "fn", "missed_in_failed")}
    steps: list[tuple[str, float | None, float | None]] = [("", step, None) for step in SCORE_STEPS.tolist()]
    edges = [None, *limits, None]
    sizes = list(zip(SIZE_NAMES, edges[:-1], edges[1:], strict=True)) if limits else []
    return Scores(
        geometry_type=geometry_type,
        tp=sums["tp"],
        fp=sums["fp"],
        fn=sums["fn"],
        figures=found,
        by_score=_bands(counts, folds, "score_", steps) if ranked else (),
        by_size=_bands(counts, folds, "size_", sizes) if sizes else (),
        missed_in_failed_tiles=sums["missed_in_failed"],
    )


def _bands(
    counts: Counts, folds: Folds, part: str, ranges: list[tuple[str, float | None, float | None]]
) -> tuple[Band, ...]:
    """Precision, recall and F1 by score or by size."""
    banded = {name: counts[part + name] for name in ("tp", "fp", "fn")}
    sums = summed(banded)
    value, spread = rates(sums), rates(left_out(banded, folds))
    rests_on = {
        "precision": banded["tp"] + banded["fp"],
        "recall": banded["tp"] + banded["fn"],
        "f1": banded["tp"] + banded["fp"] + banded["fn"],
    }

    def replicates(name: str, place: int) -> Replicates:
        counts = rests_on[name][:, place]
        return Replicates(spread[name][:, place], folds.support(counts), int(counts.sum()))

    return tuple(
        Band(
            low=low,
            high=high,
            tp=int(sums["tp"][0, place]),
            fp=int(sums["fp"][0, place]),
            fn=int(sums["fn"][0, place]),
            figures={
                each: _metric(each, float(value[each][0, place]), replicates(each, place), folds) for each in RATES
            },
            name=name,
        )
        for place, (name, low, high) in enumerate(ranges)
    )


def _confusion(truth: Layer, predictions: Layer, outcome: Outcome, classes: int) -> Confusion:
    matched = outcome.found_any != NOTHING
    found = outcome.found_any[matched]
    cells = truth.class_index[found] * classes + predictions.class_index[matched]
    missed = np.ones(len(truth), dtype=np.bool_)
    missed[found] = False
    return Confusion(
        table=np.bincount(cells, minlength=classes**2).reshape(classes, classes),
        missed=np.bincount(truth.class_index[missed], minlength=classes),
        spurious=np.bincount(predictions.class_index[~matched], minlength=classes),
    )


@dataclass(frozen=True)
class _AveragePrecision:
    """Precision at recalls, (thresholds, 101), or None; average precisions without each fold, (folds, thresholds)."""

    precision: Floats | None
    spread: Floats
    support: Support
    truths: int

    def figures(self, folds: Folds) -> dict[str, Metric]:
        if self.precision is None:
            return dict.fromkeys(("ap50", "ap"), Metric(None, 0, self.truths))
        values = {"ap50": float(self.precision[0].mean()), "ap": float(self.precision.mean())}
        return {name: _metric(name, values[name], spread, folds) for name, spread in self.spreads().items()}

    def spreads(self) -> dict[str, Replicates]:
        return {
            "ap50": Replicates(self.spread[:, 0], self.support, self.truths),
            "ap": Replicates(self.spread.mean(axis=1), self.support, self.truths),
        }


@dataclass(frozen=True)
class _Ranking:
    """Input of average precision: `ignored`, (10, n), count neither way at each IoU threshold."""

    predictions: Layer
    outcome: Outcome
    ignored: NDArray[np.bool_]


def _average_precision(
    truth: Layer,
    ranking: _Ranking,
    class_index: int,
    folds: Folds,
    max_detections: int | None,
    *,
    within_tiles: bool,
) -> _AveragePrecision:
    predictions, outcome = ranking.predictions, ranking.outcome
    ranked = outcome.order[predictions.class_index[outcome.order] == class_index]
    scope = predictions.tile[ranked] if within_tiles else np.zeros(len(ranked), dtype=np.int64)
    ranked = ranked[among_best(scope, max_detections)]
    tile = truth.tile[truth.class_index == class_index]
    truths = np.bincount(tile, minlength=len(folds.block)).astype(np.float64)
    support = folds.support(truths + np.bincount(predictions.tile[ranked], minlength=len(folds.block)))
    if not len(tile) or (len(ranked) and not has_ranking(predictions.scores[ranked])):
        return _AveragePrecision(None, np.full((folds.count, len(IOU_THRESHOLDS)), np.nan), support, len(tile))
    hits, ignored = outcome.hits[:, ranked], ranking.ignored[:, ranked]
    return _AveragePrecision(
        precision_at_recalls(hits, len(tile), ignored),
        weighted_average_precisions(hits, predictions.tile[ranked], truths, folds.weights(), ignored),
        support,
        len(tile),
    )


def _mean(precisions: list[_AveragePrecision]) -> _AveragePrecision:
    """Over the classes that have one; without a fold that holds all truth of a class, the mean of the others."""
    known = [each for each in precisions if each.precision is not None]
    truths = sum(each.truths for each in precisions)
    if not known:
        return replace(precisions[0], truths=truths)
    spreads = np.stack([each.spread for each in known])
    counted = np.isfinite(spreads).sum(axis=0)
    spread = np.divide(np.nansum(spreads, axis=0), counted, out=np.full(counted.shape, np.nan), where=counted > 0)
    support = reduce(Support.joined, (each.support for each in known))
    # recalls before classes: the order in which pycocotools adds up, or the last digit differs
    precision = np.stack([each.precision for each in known if each.precision is not None], axis=-1)
    return _AveragePrecision(precision.reshape(len(IOU_THRESHOLDS), -1), spread, support, truths)
