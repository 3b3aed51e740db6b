"""Rates estimated from a stratified random sample of tiles: strata weighed by their populations, tiles as clusters.

The combined ratio estimator and its variance with the finite population correction: Cochran (1977), Sampling
Techniques, 6.11 and 6.12. Strata of one sampled tile show no spread: they are put together (collapsed strata, 5A.12).
Where the sample shows less spread than tiles with `CLUSTER_CORRELATION` would have, as at 0 or 1, Wilson's interval for
the effective number of items counts (Korn and Graubard 1998; Kish 1965, Survey Sampling, 5.4).
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from maploop.quality.statistics import CONFIDENCE, Metric, design_effect, sample_size_for, wilson_interval

Floats = NDArray[np.float64]
# How alike the errors of one tile are taken to be (intra-cluster correlation) where that is not measured.
CLUSTER_CORRELATION = 0.05
MIN_TILES = 3
_IMPLAUSIBLE = 0.05  # of the variance of that many independent items


def stratified_rate(
    errors: Floats,
    items: Floats,
    stratum: Sequence[Hashable],
    populations: Mapping[Any, int],
    total: int | None = None,
    confidence: float = CONFIDENCE,
) -> Metric:
    """A rate over the whole population, from errors and items on each sampled tile, (tiles,).

    `populations`: how many tiles each stratum has; a stratum that the sample knows nothing of is taken to be as the
    others. `total` counts also items that could not be scored.
    """
    scored, tiles = round(float(items.sum())), int(np.count_nonzero(items))
    total = scored if total is None else total
    if not scored:
        return Metric(None, 0, total)
    strata = _collapsed(stratum, populations)
    size = {name: len(rows) for name, (rows, _) in strata.items()}
    weights = np.zeros(len(items))
    for name, (rows, population) in strata.items():
        weights[rows] = population / size[name]
    whole = float(weights @ items)
    value = float(weights @ errors) / whole
    if all(population <= size[name] for name, (_, population) in strata.items()):
        return Metric(value, scored, total, tiles=tiles, reason="every tile was looked at, the rate is known")
    if tiles < MIN_TILES:
        told = "one tile" if tiles == 1 else f"{tiles} tiles, of {MIN_TILES} that it needs"
        return Metric(value, scored, total, tiles=tiles, reason=told)
    residuals = errors - value * items
    variance = 0.0
    for name, (rows, population) in strata.items():
        if size[name] > 1:
            left = max(0.0, 1 - size[name] / population)
            variance += population**2 * left / size[name] * float(residuals[rows].var(ddof=1))
    variance /= whole**2
    freedom = max(1, len(items) - len(strata))
    low, high = _interval(value, variance, freedom, _effective(items, weights), confidence)
    return Metric(value, scored, total, low, high, tiles)


def _interval(value: float, variance: float, freedom: int, items: float, confidence: float) -> tuple[float, float]:
    """On the logit scale with Student's t, or Wilson's where that would be too narrow to be true."""
    low, high = value, value
    inside = 0 < value < 1
    if inside and variance > 0:
        half = float(stats.t.ppf((1 + confidence) / 2, freedom)) * math.sqrt(variance) / (value * (1 - value))
        low, high = (float(special.expit(special.logit(value) + end)) for end in (-half, half))
    if not inside or variance <= _IMPLAUSIBLE * value * (1 - value) / items:
        whole = max(1, round(items))
        wide = wilson_interval(round(value * whole), whole, confidence)
        low, high = min(low, wide[0]), max(high, wide[1])
    return low, high


def _effective(items: Floats, weights: Floats) -> float:
    """The items that a simple random sample without clusters would need for the same: Kish's design effect.

    With the finite population correction, as `weights` say how many tiles each stands for.
    """
    scored = float(items.sum())
    mean = float((items**2).sum()) / scored  # items on the tile of an item
    left = 1 - len(items) / max(float(weights.sum()), len(items) + 1e-9)
    return scored / design_effect(mean, CLUSTER_CORRELATION) / max(left, 1e-9)


def _collapsed(stratum: Sequence[Hashable], populations: Mapping[Any, int]) -> dict[Hashable, tuple[list[int], float]]:
    """Rows and population of each stratum that was sampled; those of one tile are one, or join the largest."""
    rows: dict[Hashable, list[int]] = defaultdict(list)
    for place, name in enumerate(stratum):
        rows[name].append(place)
    sized = {name: (places, float(max(populations.get(name, 0), len(places)))) for name, places in rows.items()}
    alone = [name for name, (places, population) in sized.items() if len(places) == 1 and population > 1]
    if not alone or len(sized) == 1:
        return sized
    if len(alone) == 1:
        others = [name for name in sized if name != alone[0]]
        alone.append(max(others, key=lambda name: sized[name][1]))
    joined = [sized.pop(name) for name in alone]
    sized["collapsed", tuple(alone)] = (
        [place for places, _ in joined for place in places],
        sum(population for _, population in joined),
    )
    return sized


def tiles_for_margin(
    margin: float, tiles: int, mean: float, crowding: float, expected_rate: float, strata: int = 1
) -> int:
    """How many of `tiles` to look at so that the rate of their features is known within +-`margin`.

    mean, crowding  features on a tile, and on the tile of a feature, in the mean: unequal tiles make the second larger

    The size for independent features by Cochran (1977), 4.4, times Kish's design effect for tiles of unequal size, with
    Student's t for the few tiles that it may come to; the finite population correction counts tiles. Raises InputError.
    """
    sample_size_for(margin, max(1, round(tiles * mean)), expected_rate)  # for its checks
    low, high = 0, tiles
    while high - low > 1:  # the margin falls with every tile
        middle = (low + high) // 2
        if margin_of_tiles(middle, tiles, mean, crowding, expected_rate, strata) <= margin:
            high = middle
        else:
            low = middle
    return high


def margin_of_tiles(
    size: int, tiles: int, mean: float, crowding: float, expected_rate: float, strata: int = 1
) -> float:
    """Half the width of the interval that looking at `size` of `tiles` gives; see `tiles_for_margin`."""
    if size >= tiles:
        return 0.0
    if size < MIN_TILES:
        return 1.0
    effect = design_effect(crowding, CLUSTER_CORRELATION)
    left = (tiles - size) / max(1, tiles - 1)
    error = math.sqrt(expected_rate * (1 - expected_rate) * effect / (size * mean) * left)
    t = float(stats.t.ppf((1 + CONFIDENCE) / 2, max(1, size - min(strata, size // 2))))
    return min(1.0, t * error)
