"""Is a model's score worth its number? Held against people's verdicts: pure functions.

The lower bound of a precision is Clopper and Pearson's (1934), one-sided, at 1 - (1 - confidence) / looks (Bonferroni),
as the lowest of several scores that passes is taken: each is a look of its own. Predictions of one block tend to be
right or wrong together, so the count is cut by the design effect that they show before (Kish 1965, 5.4). Fewer than
three blocks show no such effect: no score is proposed then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from maploop.errors import InputError
from maploop.evaluate.counts import SCORE_STEPS
from maploop.evaluate.layers import Indices
from maploop.quality.intervals import (
    Folds,
    Replicates,
    as_metric,
    plain_interval,
    reason_for_none,
    share_by_block,
)
from maploop.quality.statistics import CONFIDENCE, Metric, design_effect

METHOD = "Clopper-Pearson, one-sided, Bonferroni over looks, design effect of split blocks"
BINS = 10


@dataclass(frozen=True)
class Judged:
    """Predictions of a model that people have judged, as parallel columns.

    right       accepted unchanged; a corrected one is not right, as accepting it unseen would keep its fault
    tile        which were judged on the same tile: any numbers
    block       which lie in the same split block: any numbers
    """

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    class_index: Indices
    tile: Indices
    block: Indices

    def __len__(self) -> int:
        return len(self.scores)

    def of_class(self, class_index: int) -> "Judged":
        """Those of one class."""
        return self.only(self.class_index == class_index)

    def only(self, chosen: NDArray[np.bool_]) -> "Judged":
        """Some of them."""
        return Judged(
            self.scores[chosen], self.right[chosen], self.class_index[chosen], self.tile[chosen], self.block[chosen]
        )


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions with a score from `low` up to `high`: what they promised, and which share was right."""

    low: float
    high: float
    mean_score: float | None
    right: Metric


@dataclass(frozen=True)
class Reliability:
    """The curve of a class, or of all (`class_name` None), and the expected calibration error with its interval."""

    class_name: str | None
    judged: int
    tiles: int
    bins: tuple[ReliabilityBin, ...]
    calibration_error: Metric


@dataclass(frozen=True)
class ThresholdLook:
    """Predictions with at least this score: how many were judged, the share that was right, its lower bound."""

    score: float
    precision: Metric
    lower: float


@dataclass(frozen=True)
class Threshold:
    """The lowest score at which the lower bound reaches the wanted precision; `score` None: there is none.

    looks       all scores that were looked at, lowest first
    effect      by how much predictions of one block are worth less than independent ones
    reason      why no score can be proposed, in words: too few blocks; else empty
    """

    class_name: str
    wanted: float
    confidence: float
    score: float | None
    precision: Metric
    lower: float | None
    effect: float
    looks: tuple[ThresholdLook, ...]
    method: str = METHOD
    reason: str = ""


def reliability_of(judged: Judged, classes: Sequence[str]) -> Mapping[str | None, Reliability]:
    """Of each class, and of all together (None)."""
    result: dict[str | None, Reliability] = {None: _reliability(judged, None)}
    for index, name in enumerate(classes):
        result[name] = _reliability(judged.of_class(index), name)
    return result


def _reliability(judged: Judged, class_name: str | None) -> Reliability:
    """Bins of equal width; the error is the mean distance of share and mean score, weighted by bin (Naeini 2015)."""
    place = np.minimum((judged.scores * BINS).astype(np.int64), BINS - 1)
    blocks, block = np.unique(judged.block, return_inverse=True)

    def by_block(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(blocks, bins)"""
        sums = np.bincount(block * BINS + place, values, minlength=len(blocks) * BINS)
        return sums.astype(np.float64).reshape(len(blocks), BINS)

    counts = [by_block(each) for each in (np.ones(len(judged)), judged.right.astype(np.float64), judged.scores)]
    seen, right, promised = counts
    tiles = len(np.unique(judged.tile))
    numbers = np.arange(len(blocks), dtype=np.int64)
    return Reliability(
        class_name=class_name,
        judged=len(judged),
        tiles=tiles,
        bins=tuple(
            ReliabilityBin(
                low=each / BINS,
                high=(each + 1) / BINS,
                mean_score=float(promised[:, each].sum() / seen[:, each].sum()) if seen[:, each].any() else None,
                right=share_by_block(right[:, each], seen[:, each], numbers),
            )
            for each in range(BINS)
        ),
        calibration_error=_error_with_interval(np.column_stack(counts), tiles, len(judged)),
    )


def _error_with_interval(counts: NDArray[np.float64], tiles: int, judged: int) -> Metric:
    """The calibration error, from (blocks, 3 * bins) of what was seen, right and promised."""
    if not judged:
        return Metric(None, 0, 0)
    folds = Folds(np.arange(len(counts), dtype=np.int64))
    value = float(_calibration_error(counts.sum(axis=0, keepdims=True))[0])
    without = _calibration_error(folds.left_out(counts)) if len(counts) > 1 else np.full(1, value)
    replicates = Replicates(without, folds.support(np.ones(len(counts))), judged)
    return as_metric(value, judged, plain_interval(value, replicates, least=0.0, most=1.0), tiles)


def _calibration_error(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """From rows of (seen, right, promised) by bin: a bin weighs what is in it, so that its own size cancels out."""
    seen, right, promised = np.split(sums, 3, axis=1)
    return np.asarray(np.abs(right - promised).sum(axis=1) / seen.sum(axis=1))


def choose_threshold(
    judged: Judged, class_name: str, wanted: float, *, confidence: float = CONFIDENCE, classes: int = 1
) -> Threshold:
    """The score above which predictions of one class may be accepted unseen; `judged` of that class alone.

    `classes`: of how many the best score is looked for together. Raises InputError.
    """
    for what, share in (("precision", wanted), ("confidence", confidence)):
        if not 0 < share < 1:
            msg = f"{share:g} is not a {what}: use a number between 0 and 1, for example 0.98."
            raise InputError(msg)
    level = 1 - (1 - confidence) / (len(SCORE_STEPS) * classes)
    blocks = len(np.unique(judged.block))
    effect = design_effect_of(judged) * _few_blocks(len(judged), blocks, level)
    looks = tuple(_look(judged, float(score), level, effect) for score in SCORE_STEPS)
    reason = reason_for_none(blocks) if len(judged) else ""
    good = [look for look in looks if look.precision.scored and look.lower >= wanted and not reason]
    best = good[0] if good else None
    return Threshold(
        class_name=class_name,
        wanted=wanted,
        confidence=confidence,
        score=best.score if best else None,
        precision=best.precision if best else Metric(None, 0, len(judged)),
        lower=best.lower if best else None,
        effect=effect,
        looks=looks,
        reason=reason,
    )


def _few_blocks(items: int, blocks: int, level: float) -> float:
    """By how much less items count as few blocks show the spread: a squared ratio of t (Korn and Graubard 1998)."""
    if items <= blocks or blocks < 2:
        return 1.0
    return float((stats.t.ppf(level, blocks - 1) / stats.t.ppf(level, items - 1)) ** 2)


def _look(judged: Judged, score: float, level: float, effect: float) -> ThresholdLook:
    above = judged.scores >= score
    right, count = int(judged.right[above].sum()), int(above.sum())
    precision = share_by_block(
        (judged.right & above).astype(np.float64), above.astype(np.float64), judged.block, len(judged)
    )
    return ThresholdLook(score, precision, lower_bound(right / effect, count / effect, level))


def lower_bound(successes: float, trials: float, level: float) -> float:
    """Clopper and Pearson's one-sided lower bound of a proportion; counts need not be whole. 0 without a success."""
    if successes <= 0:
        return 0.0
    return float(stats.beta.ppf(1 - level, successes, trials - successes + 1))


def design_effect_of(judged: Judged) -> float:
    """By how much predictions of one block are worth less than independent ones, at least 1.

    The correlation within blocks is Fleiss' (1981) estimate by analysis of variance, 0 where it comes out below.
    """
    blocks, block = np.unique(judged.block, return_inverse=True)
    count, groups = len(judged), len(blocks)
    if groups < 2 or count <= groups:
        return 1.0
    sizes = np.bincount(block).astype(np.float64)
    rights = np.bincount(block, judged.right)
    share = judged.right.mean()
    between = float((sizes * (rights / sizes - share) ** 2).sum()) / (groups - 1)
    within = float((rights * (1 - rights / sizes)).sum()) / (count - groups)
    usual = (count - float((sizes**2).sum()) / count) / (groups - 1)
    spread = between + (usual - 1) * within
    correlation = (between - within) / spread if spread > 0 else 0.0
    mean_size = float((sizes**2).sum()) / count  # as seen by a prediction, not by a block
    return design_effect(mean_size, max(0.0, correlation))
