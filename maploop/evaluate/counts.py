"""Counts by tile, and the figures that their sums give: over all tiles, or over all but a fold of them."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from maploop.evaluate.layers import Indices, Layer
from maploop.evaluate.matching import NOTHING, Outcome
from maploop.quality.intervals import Folds
from maploop.vectors.geometry import GeometryType, length_m

Floats = NDArray[np.float64]
Counts = Mapping[str, Floats]  # (tiles, k) each; summed over tiles (1, k), over all but a fold (folds, k)

SCORE_STEPS: Floats = np.arange(20) / 20  # 0, 0.05, ... 0.95: predictions with at least that score
RATES = ("precision", "recall", "f1")
SIZE_NAMES = ("small", "medium", "large")


def size_limits(truth: Layer) -> Floats:
    """Two sizes that cut the truth of a class into three parts of equal number; none when it is all of a size."""
    if not len(truth):
        return np.zeros(0)
    small, medium, largest = np.quantile(truth.sizes, [1 / 3, 2 / 3, 1])
    return np.array([small, medium]) if small < medium < largest else np.zeros(0)


def count(
    truth: Layer,
    predictions: Layer,
    outcome: Outcome,
    class_index: int,
    geometry_type: GeometryType,
    tiles: int,
    failed: NDArray[np.bool_],
) -> Counts:
    """The counts of one class on each tile.

    A true feature, found or missed, counts on its tile and with its size; a false one on and with its own.
    """
    theirs = np.flatnonzero(truth.class_index == class_index)
    ours = np.flatnonzero(predictions.class_index == class_index)
    found = outcome.found[ours]
    hit = found != NOTHING
    of_hit = found[hit]
    missed = np.setdiff1d(theirs, of_hit, assume_unique=True)
    false = ours[~hit]
    tile = predictions.tile[ours]
    tile[hit] = truth.tile[of_hit]

    def sums(tile: Indices, weights: Floats | None = None) -> Floats:
        return np.bincount(tile, weights, minlength=tiles).astype(np.float64)[:, None]

    truths, predicted = sums(truth.tile[theirs]), sums(predictions.tile[ours])
    counts = {
        "tiles": np.ones((tiles, 1)),
        "tp": sums(truth.tile[of_hit]),
        "fp": sums(predictions.tile[false]),
        "fn": sums(truth.tile[missed]),
        "truths": truths,
        "predicted": predicted,
        "miscounted": np.abs(predicted - truths),
        "missed_in_failed": sums(truth.tile[missed]) * failed[:, None],
        **_by_score(predictions.scores[ours], hit, tile, truths, tiles),
    }
    if geometry_type == "polygon":
        counts["polygons"] = counts["tp"] + counts["fp"] + counts["fn"]
        counts["overlap"] = sums(truth.tile[of_hit], outcome.quality[ours[hit]])
        counts["overlapping"] = counts["tp"]
    elif geometry_type == "point":
        counts["nearness"] = sums(truth.tile[of_hit], outcome.quality[ours[hit]])
        counts["near"] = counts["tp"]
    else:
        true_m, predicted_m = length_m(truth.geometries[theirs]), length_m(predictions.geometries[ours])
        counts["true_m"] = sums(truth.tile[theirs], true_m)
        counts["predicted_m"] = sums(predictions.tile[ours], predicted_m)
        counts["true_within_m"] = sums(truth.tile[theirs], true_m * outcome.truth_within[theirs])
        counts["predicted_within_m"] = sums(predictions.tile[ours], predicted_m * outcome.prediction_within[ours])
    limits = size_limits(truth.only(theirs))
    if len(limits):
        for name, side, rows in (("tp", truth, of_hit), ("fp", predictions, false), ("fn", truth, missed)):
            band = np.searchsorted(limits, side.sizes[rows], side="left")
            counts[f"size_{name}"] = _table(side.tile[rows], band, tiles, len(SIZE_NAMES))
    return counts


def _by_score(scores: Floats, hit: NDArray[np.bool_], tile: Indices, truths: Floats, tiles: int) -> dict[str, Floats]:
    """Counts if only predictions with at least each score had been made: taking away the others changes no match."""
    step = np.searchsorted(SCORE_STEPS, scores, side="right") - 1
    known = ~np.isnan(scores)

    def at_least(chosen: NDArray[np.bool_]) -> Floats:
        table = _table(tile[chosen], step[chosen], tiles, len(SCORE_STEPS))
        return np.asarray(np.cumsum(table[:, ::-1], axis=1)[:, ::-1])

    tp = at_least(hit & known)
    return {"score_tp": tp, "score_fp": at_least(~hit & known), "score_fn": truths - tp}


def _table(rows: Indices, columns: Indices, height: int, width: int) -> Floats:
    """How often each pair of row and column occurs, (height, width)."""
    return np.bincount(rows * width + columns, minlength=height * width).astype(np.float64).reshape(height, width)


def added(all_counts: Iterable[Counts]) -> dict[str, Floats]:
    """Counts of several classes together, tile by tile; sizes stay with their classes."""
    total: dict[str, Floats] = {}
    for counts in all_counts:
        for name, values in counts.items():
            if not name.startswith("size_"):
                total[name] = total[name] + values if name in total and name != "tiles" else values
    return total


def summed(counts: Counts) -> dict[str, Floats]:
    """Over all tiles, (1, k) each."""
    return {name: values.sum(axis=0, keepdims=True) for name, values in counts.items()}


def left_out(counts: Counts, folds: Folds) -> dict[str, Floats]:
    """Over all tiles but those of each fold in turn, (folds, k) each."""
    widths = np.cumsum([values.shape[1] for values in counts.values()])
    sums = folds.left_out(np.column_stack(list(counts.values())))
    return dict(zip(counts, np.split(sums, widths[:-1], axis=1), strict=True))


def figures(sums: Counts) -> dict[str, Floats]:
    """Every figure but average precision, with the shape of the sums; nan where there is nothing to measure.

    Where there is something, true or predicted, a share of nothing is 0: no prediction at all has precision 0, as with
    SpaceNet, and a prediction where nothing is has recall 0.
    """
    values = rates(sums)
    values["count_error"] = _divided(sums["predicted"] - sums["truths"], sums["truths"])
    values["count_error_per_tile"] = _divided(sums["miscounted"], sums["tiles"])
    if "polygons" in sums:
        values["mean_iou"] = _share(sums["overlap"], sums["overlapping"], sums["polygons"])
    if "near" in sums:
        values["mean_nearness"] = _divided(sums["nearness"], sums["near"])
    if "true_m" in sums:
        true, predicted = sums["true_m"], sums["predicted_m"]
        true_within, predicted_within = sums["true_within_m"], sums["predicted_within_m"]
        values["completeness"] = _share(true_within, true, true + predicted)
        values["correctness"] = _share(predicted_within, predicted, true + predicted)
        values["quality"] = _share(predicted_within, predicted + true - true_within, true + predicted)
    return values


def rates(sums: Counts) -> dict[str, Floats]:
    """Precision, recall and F1; see `figures`."""
    tp, fp, fn = sums["tp"], sums["fp"], sums["fn"]
    either = tp + fp + fn
    return {
        "precision": _share(tp, tp + fp, either),
        "recall": _share(tp, tp + fn, either),
        "f1": _share(2 * tp, 2 * tp + fp + fn, either),
    }


def _share(part: Floats, whole: Floats, anything: Floats) -> Floats:
    """Part of whole; 0 where the whole is nothing but there is anything; nan where there is not."""
    zero = np.where(anything > 0, 0.0, np.nan)
    return np.divide(part, whole, out=zero, where=whole > 0)


def _divided(part: Floats, whole: Floats) -> Floats:
    result: Floats = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
    return result
