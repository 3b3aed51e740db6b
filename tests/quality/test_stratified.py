"""Rates of a stratified sample: weighed by the populations of strata, with tiles as what was drawn."""

import numpy as np
import pytest

from maploop.quality.statistics import wilson_interval
from maploop.quality.stratified import margin_of_tiles, stratified_rate, tiles_for_margin


def test_a_small_stratum_that_was_looked_at_closely_does_not_speak_for_the_large_one() -> None:
    """Half of the sampled tiles are of a stratum of 10 with errors, half of one of 990 without."""
    errors = np.array([4.0, 5.0, 3.0, 0.0, 0.0, 1.0])
    items = np.full(6, 10.0)
    strata = ["new", "new", "new", "old", "old", "old"]
    metric = stratified_rate(errors, items, strata, {"new": 10, "old": 990})
    assert errors.sum() / items.sum() == pytest.approx(13 / 60)
    assert metric.value == pytest.approx((10 * 0.4 + 990 / 30) / 1000)
    assert metric.low is not None
    assert metric.high is not None
    assert metric.low < 0.037 < metric.high


def test_the_variance_is_cochrans() -> None:
    """One stratum, equal tiles: the mean of tiles with its finite population correction."""
    errors, items = np.array([1.0, 3.0, 2.0, 5.0, 4.0]), np.full(5, 10.0)
    narrow = stratified_rate(errors, items, ["a"] * 5, {"a": 10})
    wide = stratified_rate(errors, items, ["a"] * 5, {"a": 10_000})
    assert narrow.low is not None
    assert wide.low is not None

    def logit(p: float) -> float:
        return float(np.log(p / (1 - p)))

    ratio = (logit(0.3) - logit(narrow.low)) / (logit(0.3) - logit(wide.low))
    assert ratio == pytest.approx(np.sqrt(0.5 / 0.9995), rel=1e-6)
    half = 2.776 * (errors / 10).std(ddof=1) / np.sqrt(5) * np.sqrt(0.9995) / (0.3 * 0.7)
    assert logit(0.3) - logit(wide.low) == pytest.approx(half, rel=1e-3)


def test_when_every_tile_was_looked_at_the_rate_is_known() -> None:
    metric = stratified_rate(np.array([1.0, 0.0, 2.0]), np.full(3, 4.0), ["a", "a", "b"], {"a": 2, "b": 1})
    assert (metric.value, metric.low) == (0.25, None)
    assert metric.reason == "every tile was looked at, the rate is known"


def test_no_error_found_is_no_proof_of_none() -> None:
    metric = stratified_rate(np.zeros(20), np.full(20, 5.0), ["a"] * 20, {"a": 10_000})
    assert metric.value == 0
    assert metric.high is not None
    assert wilson_interval(0, 100)[1] < metric.high < 0.08


def test_strata_of_one_tile_are_put_together() -> None:
    metric = stratified_rate(
        np.array([0.0, 4.0, 1.0, 2.0]), np.full(4, 8.0), ["a", "b", "c", "c"], {"a": 5, "b": 7, "c": 40}
    )
    assert metric.value == pytest.approx((6 * (0 + 4) + 20 * 3) / (8 * 52))
    assert metric.low is not None


def test_a_tile_or_two_give_no_interval() -> None:
    assert stratified_rate(np.array([1.0]), np.array([4.0]), ["a"], {"a": 9}).reason == "one tile"
    assert stratified_rate(np.ones(2), np.full(2, 4.0), ["a"] * 2, {"a": 9}).reason == "2 tiles, of 3 that it needs"
    assert stratified_rate(np.zeros(0), np.zeros(0), [], {}).value is None


def test_the_size_is_the_smallest_that_keeps_the_margin() -> None:
    for margin in (0.02, 0.05, 0.1):
        for tiles in (40, 400, 40_000):
            size = tiles_for_margin(margin, tiles, 8.0, 12.0, 0.1, 3)
            assert margin_of_tiles(size, tiles, 8.0, 12.0, 0.1, 3) <= margin
            assert size == 1 or margin_of_tiles(size - 1, tiles, 8.0, 12.0, 0.1, 3) > margin


def test_the_promised_margin_holds_as_often_as_it_says() -> None:
    """Two strata, tiles of unequal size, errors of one tile alike: the estimate is off by more 1 time in 20."""
    generator = np.random.default_rng(1)
    tiles, rate, margin = 1_500, 0.1, 0.05
    strata = np.where(np.arange(tiles) < 300, "small", "large")
    held = 0
    for _ in range(400):
        items = generator.poisson(8, tiles) + 1.0
        spread = 1 / 0.05 - 1  # of the beta distribution whose intra-cluster correlation is 0.05
        own = generator.beta(rate * spread, (1 - rate) * spread, tiles)
        errors = generator.binomial(items.astype(int), own).astype(float)
        size = tiles_for_margin(margin, tiles, items.mean(), float((items**2).sum() / items.sum()), rate, 2)
        small = generator.choice(300, round(size * 0.2), replace=False)
        chosen = np.concatenate([small, 300 + generator.choice(1_200, size - len(small), replace=False)])
        found = stratified_rate(errors[chosen], items[chosen], strata[chosen].tolist(), {"small": 300, "large": 1_200})
        held += abs((found.value or 0.0) - errors.sum() / items.sum()) <= margin
    assert held / 400 >= 0.93
