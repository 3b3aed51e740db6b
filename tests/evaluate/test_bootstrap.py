"""Intervals over tiles: reproducible, of the right width, none where there is nothing to draw from."""

import numpy as np
import pytest

from maploop.evaluate.average_precision import precision_at_recalls, resampled_average_precisions
from maploop.evaluate.bootstrap import draw_tiles, interval, resample
from tests.evaluate.ground import box, judged


def test_every_resample_draws_as_many_tiles_as_there_are() -> None:
    weights = draw_tiles(50, resamples=200)
    assert weights.shape == (200, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert (weights == draw_tiles(50, resamples=200)).all()
    assert (weights != draw_tiles(50, resamples=200, seed=1)).any()


def test_the_interval_of_a_mean_is_that_of_the_normal_theory() -> None:
    values = np.random.default_rng(0).normal(5, 2, (400, 1))
    means = resample(values, draw_tiles(400))[:, 0] / 400
    low, high = interval(means)
    assert low is not None
    assert high is not None
    half = 1.96 * values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - half, abs=0.04)
    assert high == pytest.approx(values.mean() + half, abs=0.04)


def test_one_tile_gives_no_interval() -> None:
    evaluation = judged([(box(0, 0), "building", 0)], [(box(0, 0), "building", 0, 0.5)], tiles=1)
    metric = evaluation.overall.figures["f1"]
    assert (metric.value, metric.low, metric.high, metric.scored) == (1, None, None, 1)
    assert evaluation.resamples == 0


def test_intervals_hold_the_value_and_say_what_they_rest_on() -> None:
    generator = np.random.default_rng(3)
    truth = [(box(20 * k, 0), "building", tile) for tile in range(60) for k in range(4)]
    predictions = [
        (box(20 * k, 0 if generator.random() < 0.7 else 40), "building", tile, float(generator.random()))
        for tile in range(60)
        for k in range(4)
    ]
    evaluation = judged(truth, predictions, tiles=60, resamples=500)
    for name in ("precision", "recall", "f1", "ap50", "ap"):
        metric = evaluation.overall.figures[name]
        assert metric.value is not None
        assert metric.low is not None
        assert metric.high is not None
        assert metric.low < metric.value < metric.high
        assert 0.02 < metric.high - metric.low < 0.3
    assert evaluation.overall.figures["precision"].scored == 240


def test_average_precision_of_a_resample_is_that_of_the_tiles_drawn() -> None:
    generator = np.random.default_rng(5)
    tile = generator.integers(0, 20, 300)
    hits = generator.random((2, 300)) < 0.6
    truths = (np.bincount(tile, minlength=20) + 3).astype(np.float64)
    weights = draw_tiles(20, resamples=10)
    found = resampled_average_precisions(hits, tile, truths, weights)
    for row, drawn in zip(found, weights.astype(int), strict=True):
        copies = drawn[tile]
        expected = precision_at_recalls(np.repeat(hits, copies, axis=1), int(drawn @ truths)).mean(axis=1)
        assert row == pytest.approx(expected, abs=1e-9)
