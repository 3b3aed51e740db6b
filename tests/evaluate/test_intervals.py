"""Intervals of an evaluation: over split blocks, holding the value, none where blocks are too few to tell."""

import numpy as np
import pytest

from maploop.evaluate.average_precision import precision_at_recalls, weighted_average_precisions
from tests.evaluate.ground import Drawn, box, judged


def scene(tiles: int = 60) -> tuple[list[Drawn], list[Drawn]]:
    """Four buildings a tile, most of them found."""
    generator = np.random.default_rng(3)
    truth: list[Drawn] = [(box(20 * k, 0), "building", tile) for tile in range(tiles) for k in range(4)]
    predictions: list[Drawn] = [
        (box(20 * k, 0 if generator.random() < 0.7 else 40), "building", tile, float(generator.random()))
        for tile in range(tiles)
        for k in range(4)
    ]
    return truth, predictions


def test_tiles_of_one_block_give_no_interval_and_it_is_said_why() -> None:
    evaluation = judged(*scene(), tiles=60, blocks=np.zeros(60, dtype=np.int64))
    metric = evaluation.overall.figures["f1"]
    assert metric.value is not None
    assert (metric.low, metric.high, metric.tiles, metric.blocks, metric.reason) == (None, None, 60, 1, "one block")
    assert "no interval: one block" in metric.text()


def test_a_class_in_one_block_has_no_interval_though_others_have() -> None:
    truth, predictions = scene()
    truth.append((box(0, 200), "well", 5))
    evaluation = judged(truth, predictions, tiles=60)
    assert evaluation.classes["well"].figures["recall"].reason == "one block"
    assert evaluation.classes["building"].figures["recall"].reason == ""


def test_intervals_hold_the_value_and_say_what_they_rest_on() -> None:
    evaluation = judged(*scene(), tiles=60, blocks=np.arange(60) // 3)
    for name in ("precision", "recall", "f1", "mean_iou", "ap50", "ap"):
        metric = evaluation.overall.figures[name]
        assert metric.value is not None
        assert metric.low is not None
        assert metric.high is not None
        assert 0 <= metric.low <= metric.value <= metric.high <= 1
        assert 0 < metric.high - metric.low < 0.3
        assert (metric.tiles, metric.blocks) == (60, 20)
    assert evaluation.overall.figures["precision"].scored == 240


def test_a_perfect_score_has_an_interval_below_it() -> None:
    truth, _ = scene()
    evaluation = judged(truth, [(*row[:3], 0.5) for row in truth], tiles=60)
    for name in ("precision", "recall", "f1", "mean_iou"):
        metric = evaluation.overall.figures[name]
        assert metric.value == 1
        assert metric.low is not None
        assert 0.9 < metric.low < 1
        assert metric.high == 1


def test_average_precision_of_some_tiles_is_that_of_these_tiles() -> None:
    generator = np.random.default_rng(5)
    tile = generator.integers(0, 20, 300)
    hits = generator.random((2, 300)) < 0.6
    truths = (np.bincount(tile, minlength=20) + 3).astype(np.float64)
    weights = generator.integers(0, 3, (10, 20)).astype(np.uint8)
    found = weighted_average_precisions(hits, tile, truths, weights)
    for row, drawn in zip(found, weights.astype(int), strict=True):
        copies = drawn[tile]
        expected = precision_at_recalls(np.repeat(hits, copies, axis=1), int(drawn @ truths)).mean(axis=1)
        assert row == pytest.approx(expected, abs=1e-9)
