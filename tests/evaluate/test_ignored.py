"""Ignore regions: what is predicted where nobody knows the truth counts neither way; and scores that rank nothing."""

from typing import Any

import numpy as np
import pytest
import shapely
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from maploop.evaluate.ignored import ANY_CLASS
from maploop.evaluate.metrics import Evaluation
from tests.evaluate.ground import Drawn, box, counts, judged, layer, line, value

TRUTH: list[Drawn] = [(box(0, 0), "building", 0), (box(40, 0), "building", 0)]


def judged_with(regions: list[Any], predictions: list[Any], truth: list[Any] = TRUTH, **how: Any) -> Evaluation:
    return judged(truth, predictions, ignored=layer(regions), **how)


def test_predictions_on_a_region_count_neither_way_however_many_there_are() -> None:
    region: list[Drawn] = [(box(100, 0, 30, 30), "building", 0)]
    predictions = [
        (box(0, 0), "building", 0, 0.9),
        (box(102, 2), "building", 0, 0.8),
        (box(115, 5), "building", 0, 0.7),
    ]
    evaluation = judged_with(region, predictions)
    assert counts(evaluation, "building") == (1, 0, 1)
    assert counts(judged(TRUTH, predictions), "building") == (1, 2, 1)
    assert value(evaluation, "building", "ap50") == value(judged(TRUTH, predictions[:1]), "building", "ap50")
    assert (evaluation.confusion.spurious.sum(), judged(TRUTH, predictions).confusion.spurious.sum()) == (0, 2)


def test_a_prediction_that_stands_for_truth_beside_a_region_still_does_and_one_half_outside_is_false() -> None:
    region: list[Drawn] = [(box(0, 0, 30, 10), "building", 0), (box(100, 0), "building", 0)]
    predictions = [
        (box(0, 0), "building", 0, 0.9),
        (box(106, 0), "building", 0, 0.8),
        (box(100, 0), "building", 1, 0.7),
    ]
    assert counts(judged_with(region, predictions), "building") == (1, 2, 1)


def test_lines_and_points_on_a_region_are_left_out_too() -> None:
    regions: list[Drawn] = [(line((0, 50), (60, 50)), "road", 0), (shapely.Point(5, 90), "well", 0)]
    predictions = [
        (line((0, 51), (50, 51)), "road", 0, 0.9),
        (line((0, 80), (50, 80)), "road", 0, 0.8),
        (shapely.Point(7, 90), "well", 0, 0.9),
        (shapely.Point(30, 90), "well", 0, 0.9),
    ]
    evaluation = judged_with(regions, predictions)
    assert (counts(evaluation, "road"), counts(evaluation, "well")) == ((0, 1, 0), (0, 1, 0))


def test_a_region_of_any_class_takes_predictions_of_every_class_of_its_type() -> None:
    regions = layer([(line((0, 50), (60, 50)), "road", 0)])
    anything = type(regions)(regions.geometries, np.full(1, ANY_CLASS), regions.tile, regions.scores, regions.sizes)
    predictions: list[Drawn] = [(line((0, 51), (50, 51)), "path", 0, 0.9)]
    assert counts(judged([], predictions, ignored=regions), "path") == (0, 1, 0)
    assert counts(judged([], predictions, ignored=anything), "path") == (0, 0, 0)


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_beside_crowds_is_that_of_pycocotools(seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = random.integers(0, 120, (24, 2)).tolist()
    truth = [(box(x, y, 14, 14), "building", 0) for x, y in corners[:8]]
    crowds: list[Drawn] = [(box(x, y, 30, 26), "building", 0) for x, y in corners[8:11]]
    near = [(x + random.integers(-5, 5), y + random.integers(-5, 5)) for x, y in corners[:8]]
    spots = [*near, *((x + 4, y + 3) for x, y in corners[8:11]), *corners[11:]]
    scores = random.permutation(len(spots)) / 100 + 0.1
    predictions = [(box(x, y, 12, 13), "building", 0, score) for (x, y), score in zip(spots, scores, strict=True)]
    expected = coco_precision(truth, crowds, predictions)
    evaluation = judged_with(crowds, predictions, truth)
    found = [value(evaluation, "building", name) for name in ("ap", "ap50")]
    assert found == pytest.approx(expected, abs=1e-9)


def coco_precision(truth: list[Any], crowds: list[Any], predictions: list[Any]) -> list[float]:
    """AP and AP50 as pycocotools computes them, with the crowds as such."""
    ground = COCO()
    rows = [*((row, 0) for row in truth), *((row, 1) for row in crowds)]
    ground.dataset = {
        "images": [{"id": 1, "width": 400, "height": 400}],
        "categories": [{"id": 1, "name": "building"}],
        "annotations": [
            {"id": place, "image_id": 1, "category_id": 1, "bbox": bbox(row), "area": row[0].area, "iscrowd": crowd}
            for place, (row, crowd) in enumerate(rows, start=1)
        ],
    }
    ground.createIndex()
    results = [{"image_id": 1, "category_id": 1, "bbox": bbox(row), "score": row[3]} for row in predictions]
    evaluation = COCOeval(ground, ground.loadRes(results), "bbox")
    evaluation.params.maxDets = [1, 10, 1000]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, 0, 0, -1]
    return [float(precision.mean()), float(precision[0].mean())]


def bbox(row: Drawn) -> list[float]:
    west, south, east, north = row[0].bounds
    return [west, south, east - west, north - south]


@pytest.mark.parametrize("scores", [(0.5, 0.5), (None, None)])
def test_equal_or_absent_scores_rank_nothing(scores: tuple[float | None, float | None]) -> None:
    predictions: list[Any] = [
        (row[0], *row[1:], *([] if score is None else [score])) for row, score in zip(TRUTH, scores, strict=True)
    ]
    evaluation = judged(TRUTH, predictions)
    assert (value(evaluation, "building", "ap"), value(evaluation, "building", "f1")) == (None, 1.0)
    assert evaluation.classes["building"].by_score == ()
    ranked = judged(TRUTH, [(*TRUTH[0], 0.5), (*TRUTH[1], 0.6)])
    assert value(ranked, "building", "ap") == pytest.approx(1.0)
    assert ranked.classes["building"].by_score
