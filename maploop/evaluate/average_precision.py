"""Average precision as COCO computes it, and without some of the tiles.

Lin et al. (2014), Microsoft COCO; `COCOeval.accumulate` of pycocotools: precision made monotone from the right, read at
101 recalls from 0 to 1, averaged over recalls and over IoU thresholds 0.5 to 0.95. Two things are ours to say:

* `max_detections`: COCO looks at the 100 best of a class in an image only, which a dense tile exceeds. Here all count,
  unless a number is given.
* A class without truth has no average precision, as in COCO. Neither have predictions none of which has a score, or
  whose scores are all equal: they have no ranking to judge.

A perfect answer may come out as 0.9999999999999998, as it does there.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from maploop.evaluate.layers import Indices

# As pycocotools makes them: some differ from the decimal number in the last bit, and equal IoUs are to fall as there.
IOU_THRESHOLDS: NDArray[np.float64] = np.linspace(0.5, 0.95, 10)
RECALLS: NDArray[np.float64] = np.linspace(0.0, 1.0, 101)
ROWS = 128  # sets of tiles at a time: what they take in memory
_STEPS = 1000  # points of the ranking at which intervals look


def has_ranking(scores: NDArray[np.float64]) -> bool:
    """Whether predictions can be ranked: not when all scores are equal, of several, or absent."""
    known = scores[np.isfinite(scores)]
    return len(known) > 0 and (len(scores) == 1 or len(np.unique(known)) > 1)


def precision_at_recalls(
    hits: NDArray[np.bool_], truths: int, ignored: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Interpolated precision, (thresholds, 101), from hits of predictions best first, (thresholds, n).

    `ignored`, (thresholds, n): predictions that count neither way.
    """
    found = np.cumsum(hits, axis=1, dtype=np.float64)
    counted = np.ones_like(hits) if ignored is None else ~ignored
    seen = np.cumsum(counted, axis=1, dtype=np.float64)
    return _interpolated(found, seen, np.full(len(hits), float(truths)))


def _interpolated(
    found: NDArray[np.float64], seen: NDArray[np.float64], truths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rows of how many were found and seen so far -> precision at each recall; 0 at recalls never reached."""
    if not found.shape[1]:
        return np.zeros((len(found), len(RECALLS)))
    precision = found / (seen + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    result = np.zeros((len(found), len(RECALLS)))
    for row, recall in enumerate(found / truths[:, None]):
        place = np.searchsorted(recall, RECALLS, side="left")
        reached = place < len(recall)
        result[row, reached] = precision[row, place[reached]]
    return result


def among_best(scope: Indices, most: int | None) -> NDArray[np.bool_]:
    """Which predictions, best first, are among the `most` best of their scope (a tile)."""
    if most is None:
        return np.ones(len(scope), dtype=np.bool_)
    order = np.argsort(scope, kind="stable")
    _, starts, counts = np.unique(scope[order], return_index=True, return_counts=True)
    rank = np.empty(len(scope), dtype=np.int64)
    rank[order] = np.arange(len(scope)) - np.repeat(starts, counts)
    return rank < most


def weighted_average_precisions(
    hits: NDArray[np.bool_],
    tile: Indices,
    truths: NDArray[np.float64],
    weights: NDArray[np.uint8],
    ignored: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Average precision of every weighting of tiles at each IoU threshold, (weightings, thresholds); nan without truth.

    hits        (thresholds, n) of predictions best first, whose tiles `tile` holds
    truths      of each tile
    weights     (weightings, tiles): how often each tile counts
    ignored     (thresholds, n): predictions that count neither way

    The ranking is read at up to 1,000 places: enough for an interval, and far fewer than predictions.
    """
    thresholds, count = hits.shape
    steps = min(count, _STEPS)
    step = np.arange(count) * steps // max(count, 1)

    def by_step(chosen: NDArray[np.bool_]) -> Any:
        ones = np.ones(int(chosen.sum()))
        return sparse.coo_array((ones, (step[chosen], tile[chosen])), (steps, len(truths))).tocsr()

    counted = np.ones_like(hits) if ignored is None else ~ignored
    same = bool((counted == counted[:1]).all())
    each_seen, each_hit = [by_step(row) for row in (counted[:1] if same else counted)], [by_step(row) for row in hits]
    result = np.full((len(weights), thresholds), np.nan)
    for start in range(0, len(weights), ROWS):
        rows = slice(start, start + ROWS)
        drawn = np.ascontiguousarray(weights[rows].T, dtype=np.float64)
        total = truths @ drawn
        seen = [np.cumsum(each @ drawn, axis=0).T for each in each_seen]
        for threshold, hit in enumerate(each_hit):
            precision = _interpolated(
                np.cumsum(hit @ drawn, axis=0).T, seen[0 if same else threshold], np.maximum(total, 1)
            )
            result[rows, threshold] = np.where(total > 0, precision.mean(axis=1), np.nan)
    return result
