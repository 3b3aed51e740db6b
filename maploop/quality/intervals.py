"""Confidence intervals of figures that were measured on blocks of tiles: pure functions.

Blocks, not tiles, were assigned to the test split, and tiles of one block tend to go wrong together; so blocks are what
the variance is taken over. It is that of the delete-one-block jackknife, with Student's t for blocks - 1:

* Jackknife of a ratio: Cochran (1977), Sampling Techniques, 6.15, and Wolter (2007), Introduction to Variance
  Estimation, 4.2. Taken around the value itself it is the CV3 estimator of MacKinnon, Nielsen and Webb (2023), Fast and
  reliable jackknife and bootstrap methods for cluster-robust inference, the most dependable one with few clusters.
* Above `MAX_FOLDS` blocks, groups of blocks are left out together: Kott (2001), The delete-a-group jackknife.
* Shares are held between 0 and 1 on the logit scale: Korn and Graubard (1999), Analysis of Health Surveys, 2.5. Where
  blocks agree far better than independent items could, by luck or at 0 and 1, they are taken for independent: Wilson's
  interval (1927) for as many items, after the truncated effective sample size of Korn and Graubard (1998), Confidence
  intervals for proportions with small expected number of positive counts estimated from survey data.

Differences, by which models are promoted, take t for the effective number of blocks, which is lower where these are of
unequal size. Fewer than `MIN_BLOCKS` blocks give no interval. `python -m bench.coverage` measures what intervals cover.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from maploop.quality.statistics import CONFIDENCE, Metric, wilson_interval

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

MIN_BLOCKS = 3
MAX_FOLDS = 200
DRAWS = 1000
_IMPLAUSIBLE = 0.05  # of the variance of independent items: three blocks or more come below by luck alone
_SEED = 0


@dataclass(frozen=True)
class Interval:
    """An interval, or in `reason` why there is none; `blocks` is how many it rests on."""

    low: float | None
    high: float | None
    blocks: int
    reason: str = ""


@dataclass(frozen=True)
class Folds:
    """Tiles grouped for leaving out: `block` and `fold` number those of each tile, (tiles,), from 0.

    A fold is a block; above `MAX_FOLDS` blocks it is several, put together at random, always in the same way.
    """

    block: Indices

    def __post_init__(self) -> None:
        """Number the blocks from 0."""
        object.__setattr__(self, "block", np.unique(self.block, return_inverse=True)[1].astype(np.int64))

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return int(self.block.max(initial=-1)) + 1

    @property
    def count(self) -> int:
        """How many folds there are."""
        return min(self.blocks, MAX_FOLDS)

    @cached_property
    def fold(self) -> Indices:
        """The fold of each tile."""
        if self.blocks <= MAX_FOLDS:
            return self.block
        shuffled = np.random.default_rng(_SEED).permutation(self.blocks) % MAX_FOLDS
        return np.asarray(shuffled[self.block], dtype=np.int64)

    def sums(self, counts: Floats) -> Floats:
        """Sums of counts by fold, (folds, columns), from (tiles, columns)."""
        result = np.zeros((self.count, counts.shape[1]))
        np.add.at(result, self.fold, counts)
        return result

    def left_out(self, counts: Floats) -> Floats:
        """Sums without each fold in turn, (folds, columns), from counts by tile, (tiles, columns)."""
        return np.asarray(counts.sum(axis=0, keepdims=True) - self.sums(counts))

    def weights(self) -> NDArray[np.uint8]:
        """Whether each tile counts when a fold is left out, (folds, tiles)."""
        return np.asarray(np.arange(self.count)[:, None] != self.fold[None, :], dtype=np.uint8)

    def support(self, rests_on: Floats) -> "Support":
        """Folds and blocks in which there is something, by counts by tile, (tiles,)."""
        held = np.bincount(self.fold, rests_on, minlength=self.count)
        squares = float((held**2).sum())
        return Support(
            held > 0,
            int(np.count_nonzero(np.bincount(self.block, rests_on))),
            float(held.sum()) ** 2 / squares if squares else 0.0,
        )


@dataclass(frozen=True)
class Support:
    """The folds in which a figure has something to rest on, (folds,), and of how many blocks these are.

    `effective`: how many folds of one size would tell as much, (sum n)^2 / sum n^2 (Kish 1965, Survey Sampling, 11.7).
    """

    fold: NDArray[np.bool_]
    blocks: int
    effective: float

    def joined(self, other: "Support") -> "Support":
        """The support of a figure that needs both, such as a difference."""
        return Support(self.fold | other.fold, max(self.blocks, other.blocks), min(self.effective, other.effective))


@dataclass(frozen=True)
class Replicates:
    """A figure without each fold in turn, (folds,), where it rests, and on how many items."""

    values: Floats
    support: Support
    items: int


def reason_for_none(blocks: int) -> str:
    """The reason, in words, why so few blocks give no interval; empty when they do."""
    if blocks >= MIN_BLOCKS:
        return ""
    if not blocks:
        return "nothing counted"
    return "one block" if blocks == 1 else f"{blocks} blocks, of {MIN_BLOCKS} that it needs"


def share_interval(
    value: float, replicates: Replicates, *, counted: bool = True, confidence: float = CONFIDENCE
) -> Interval:
    """The interval of a share or of another figure between 0 and 1; it never has the width 0.

    `counted`: each item is right or wrong, so that independent items would have the variance p (1 - p) / n.
    """
    blocks = replicates.support.blocks
    if reason := reason_for_none(blocks):
        return Interval(None, None, blocks, reason)
    items = max(replicates.items, 1)
    error, t = _error(value, replicates, confidence)
    least = _IMPLAUSIBLE * value * (1 - value) / items if counted else 0.0
    inside = 0 < value < 1
    low, high = value, value
    if inside and error > 0:
        half = t * error / (value * (1 - value))
        centre = float(special.logit(value))
        low, high = float(special.expit(centre - half)), float(special.expit(centre + half))
    if not inside or error**2 <= least:
        wide = _wilson(value, items, confidence)
        low, high = min(low, wide[0]), max(high, wide[1])
    return Interval(low, high, blocks)


def f1_interval(value: float, replicates: Replicates, confidence: float = CONFIDENCE) -> Interval:
    """The interval of an F1 with found, false and missed as its items.

    F1 = 2 J / (1 + J), where J = found / (found + false + missed) is a share of items: its interval, carried over.
    """
    jaccard = Replicates(replicates.values / (2 - replicates.values), replicates.support, replicates.items)
    found = share_interval(value / (2 - value), jaccard, confidence=confidence)
    if found.low is None or found.high is None:
        return found
    return Interval(2 * found.low / (1 + found.low), 2 * found.high / (1 + found.high), found.blocks)


def plain_interval(
    value: float,
    replicates: Replicates,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The interval of a figure without such bounds, or of a difference of two.

    Where no block differs from the others there is none, but for differences of shares (`least` -1, `most` 1): then at
    most as many items may differ as Wilson's interval leaves open after none of so many did.
    """
    blocks = replicates.support.blocks
    if reason := reason_for_none(blocks):
        return Interval(None, None, blocks, reason)
    error, t = _error(value, replicates, confidence, replicates.support.effective)
    half = t * error
    if half == 0:
        if (least, most) != (-1, 1):
            return Interval(None, None, blocks, "blocks that do not differ")
        half = _wilson(0.0, max(replicates.items, 1), confidence)[1]
    return Interval(max(least, value - half), min(most, value + half), blocks)


def as_metric(value: float | None, items: int, found: Interval, tiles: int, total: int | None = None) -> Metric:
    """A figure with its interval and with what that rests on."""
    return Metric(
        value, items, items if total is None else total, found.low, found.high, tiles, found.blocks, found.reason
    )


def share_by_block(
    right: Floats, seen: Floats, block: Indices, total: int | None = None, confidence: float = CONFIDENCE
) -> Metric:
    """A share with its interval, from how many were right and how many were seen on each tile (or other unit).

    `block` numbers the cluster of each tile; `total` counts also what could not be scored.
    """
    items = round(float(seen.sum()))
    if not items:
        return Metric(None, 0, total or 0)
    folds = Folds(block)
    support = folds.support(seen)
    rest_right, rest_seen = folds.left_out(np.column_stack([right, seen])).T
    value = float(right.sum() / seen.sum())
    values = np.divide(rest_right, rest_seen, out=np.full(len(rest_seen), value), where=rest_seen > 0)
    found = share_interval(value, Replicates(values, support, items), confidence=confidence)
    return as_metric(value, items, found, int(np.count_nonzero(seen)), total)


def mean_by_block(
    values: Floats, block: Indices, total: int | None = None, *, least: float = -math.inf, most: float = math.inf
) -> Metric:
    """The mean of one value a tile (or other unit) with its interval, over the blocks that these lie in."""
    if not len(values):
        return Metric(None, 0, total or 0)
    folds = Folds(block)
    sums, counts = folds.left_out(np.column_stack([values, np.ones(len(values))])).T
    value = float(values.mean())
    replicates = np.divide(sums, counts, out=np.full(len(sums), value), where=counts > 0)
    support = folds.support(np.ones(len(values)))
    found = plain_interval(value, Replicates(replicates, support, len(values)), least=least, most=most)
    return as_metric(value, len(values), found, len(values), total)


def draw_totals(counts: Floats, folds: Folds, draws: int = DRAWS) -> Floats:
    """Totals as other blocks might have given them, (draws, columns), from counts by tile, (tiles, columns).

    Drawn from the multivariate t whose scale is the covariance of the totals between blocks, so that percentiles of
    anything linear in them are its t interval; none with too few blocks. Below 0 is 0.
    """
    total = counts.sum(axis=0)
    if folds.blocks < MIN_BLOCKS:
        return np.zeros((0, counts.shape[1]))
    generator = np.random.default_rng(_SEED)
    sums, freedom = folds.sums(counts), folds.count - 1
    spread = (sums - sums.mean(axis=0)) * math.sqrt(folds.count / freedom)
    scale = np.sqrt(generator.chisquare(freedom, (draws, 1)) / freedom)
    drawn = total + generator.standard_normal((draws, folds.count)) @ spread / scale
    return np.asarray(np.maximum(drawn, 0.0))


def percentiles(values: Floats, confidence: float = CONFIDENCE) -> tuple[float, float] | tuple[None, None]:
    """The middle 95 %, or another share, of drawn values that are numbers; nothing without any."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None, None
    outside = 100 * (1 - confidence) / 2
    low, high = np.percentile(values, [outside, 100 - outside])
    return float(low), float(high)


def _error(
    value: float, replicates: Replicates, confidence: float, folds_told: float | None = None
) -> tuple[float, float]:
    """The standard error by the jackknife over folds with something in them, and Student's t for one less of these.

    Or for one less than `folds_told`: the effective number, where folds of unequal size would make an interval short.
    """
    values = replicates.values[replicates.support.fold]
    values = values[np.isfinite(values)]
    folds = len(values)
    if folds < 2:
        return 0.0, 0.0
    error = math.sqrt((folds - 1) / folds * float(((values - value) ** 2).sum()))
    if error < 1e-9:  # what rounding leaves
        error = 0.0
    freedom = max(1.0, (folds if folds_told is None else min(folds, folds_told)) - 1)
    return error, float(stats.t.ppf((1 + confidence) / 2, freedom))


def _wilson(value: float, items: int, confidence: float) -> tuple[float, float]:
    return wilson_interval(round(value * items), items, confidence)
