"""Intervals by drawing tiles again, with replacement: features of one tile tend to go wrong together.

Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13: percentile intervals. What is drawn are the
counts of each tile, so a resample costs a row of a matrix product and matches nothing anew.
"""

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 1000
ROWS = 128  # resamples at a time: what they take in memory


def draw_tiles(tiles: int, *, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.uint8]:
    """How often each tile is drawn in each resample, (resamples, tiles); no resamples below two tiles."""
    if tiles < 2:
        return np.zeros((0, tiles), dtype=np.uint8)
    generator = np.random.default_rng(seed)
    weights = np.empty((resamples, tiles), dtype=np.uint8)  # more than 255 of one tile is as good as impossible
    for start in range(0, resamples, ROWS):
        rows = len(weights[start : start + ROWS])
        drawn = generator.integers(0, tiles, (rows, tiles)) + np.arange(rows)[:, None] * tiles
        weights[start : start + rows] = np.bincount(drawn.ravel(), minlength=rows * tiles).reshape(rows, tiles)
    return weights


def resample(counts: NDArray[np.float64], weights: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Sums of the counts of the drawn tiles, (resamples, columns), from (tiles, columns)."""
    sums = np.empty((len(weights), counts.shape[1]))
    for start in range(0, len(weights), ROWS):
        sums[start : start + ROWS] = weights[start : start + ROWS].astype(np.float64) @ counts
    return sums


def interval(values: NDArray[np.float64], confidence: float = CONFIDENCE) -> tuple[float, float] | tuple[None, None]:
    """The middle 95 %, or another share, of resampled values that are numbers; nothing without any."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None, None
    outside = 100 * (1 - confidence) / 2
    low, high = np.percentile(values, [outside, 100 - outside])
    return float(low), float(high)
