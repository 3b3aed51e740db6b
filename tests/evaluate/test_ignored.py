"""Ignore regions: what is predicted where nobody knows the truth counts neither way; and scores that rank nothing."""

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from shapely.geometry.base import BaseGeometry

from maploop.evaluate.average_precision import has_ranking
from maploop.evaluate.ignored import ANY_CLASS
from maploop.evaluate.metrics import Evaluation
from maploop.vectors.geometry import GeometryType
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


SIDE = 40
CORNERS = st.tuples(st.integers(0, SIDE - 16), st.integers(0, SIDE - 16))
TILES = st.integers(0, 1)
NAMES = st.sampled_from(["building", "shed"])
SMALL = st.tuples(CORNERS, st.integers(4, 12), st.integers(4, 12), NAMES, TILES)
LARGE = st.tuples(CORNERS, st.integers(8, 16), st.integers(8, 16), NAMES, TILES)
POLYGONS: dict[str, GeometryType] = {"building": "polygon", "shed": "polygon"}


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Drawn], list[Drawn], list[Any]]:
    """Truth, crowds and scored predictions, most of which lie near one of the two."""
    truth: list[Drawn] = [drawn(*row) for row in draw(st.lists(SMALL, min_size=1, max_size=5))]
    crowds: list[Drawn] = [drawn(*row) for row in draw(st.lists(LARGE, min_size=1, max_size=3))]
    near = st.sampled_from([*truth, *crowds]).flatmap(
        lambda row: st.tuples(
            st.tuples(*(st.integers(int(at), int(at) + 5) for at in row[0].bounds[:2])),
            st.integers(4, 12),
            st.integers(4, 12),
            st.just(row[1]),
            st.just(row[2]),
        )
    )
    rows = draw(st.lists(st.one_of(near, near, SMALL), min_size=2, max_size=9))
    scores = draw(st.lists(st.integers(1, 6), min_size=len(rows), max_size=len(rows)).filter(lambda s: len(set(s)) > 1))
    return truth, crowds, [(*drawn(*row), score / 10) for row, score in zip(rows, scores, strict=True)]


def drawn(corner: tuple[int, int], width: int, height: int, name: str, tile: int) -> tuple[BaseGeometry, str, int]:
    return box(*corner, width, height), name, tile


@settings(max_examples=150, deadline=None)
@given(scenes())
def test_beside_crowds_average_precision_and_counts_are_those_of_pycocotools(
    scene: tuple[list[Drawn], list[Drawn], list[Any]],
) -> None:
    truth, crowds, predictions = scene
    evaluation = judged(truth, predictions, classes=POLYGONS, tiles=2, ignored=layer(crowds, POLYGONS))
    for name in POLYGONS:
        precision, pairs = by_pycocotools(name, truth, crowds, predictions)
        assert counts(evaluation, name) == pairs
        if has_ranking(np.array([row[3] for row in predictions if row[1] == name])):
            assert [value(evaluation, name, figure) for figure in ("ap", "ap50")] == pytest.approx(precision)


def test_at_each_threshold_a_crowd_takes_only_what_lies_within_it_to_that_share() -> None:
    """Six tenths of the best prediction lie on the crowd: from 0.65 on it is false, and halves the precision."""
    truth, crowds = TRUTH[:1], [(box(100, 0, 30, 30), "building", 0)]
    predictions = [(box(0, 0), "building", 0, 0.8), (box(96, 0), "building", 0, 0.9)]
    evaluation = judged_with(crowds, predictions, truth)
    assert counts(evaluation, "building") == (1, 0, 0)
    assert value(evaluation, "building", "ap50") == pytest.approx(1.0)
    assert value(evaluation, "building", "ap") == pytest.approx(0.3 * 1 + 0.7 * 0.5)


def by_pycocotools(
    name: str, truth: list[Any], crowds: list[Any], predictions: list[Any]
) -> tuple[list[float | None], tuple[int, int, int]]:
    """AP and AP50 of a class as pycocotools computes them, with the crowds as such; pairs at an IoU of one half."""
    ground = COCO()
    rows = [*((row, 0) for row in truth), *((row, 1) for row in crowds)]
    ground.dataset = {
        "images": [{"id": tile, "width": SIDE, "height": SIDE} for tile in (0, 1)],
        "categories": [{"id": 1, "name": name}],
        "annotations": [
            {
                "id": place,
                "image_id": row[2],
                "category_id": 1,
                "bbox": bbox(row),
                "area": row[0].area,
                "iscrowd": crowd,
            }
            for place, (row, crowd) in enumerate(rows, start=1)
            if row[1] == name
        ],
    }
    ground.createIndex()
    results = [
        {"image_id": row[2], "category_id": 1, "bbox": bbox(row), "score": row[3]}
        for row in predictions
        if row[1] == name
    ]
    evaluation = COCOeval(ground, ground.loadRes(results) if results else COCO(), "bbox")
    evaluation.params.imgIds = [0, 1]
    evaluation.params.maxDets = [1, 10, 1000]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, 0, 0, -1]
    images = [each for each in evaluation.evalImgs if each and each["aRng"] == evaluation.params.areaRng[0]]
    true = sum(int((~each["gtIgnore"].astype(bool)).sum()) for each in images)
    counted = [~each["dtIgnore"][0].astype(bool) for each in images]
    found = sum(int((each["dtMatches"][0] > 0)[kept].sum()) for each, kept in zip(images, counted, strict=True))
    predicted = sum(int(kept.sum()) for kept in counted)
    known = [None if part.min() < 0 else float(part.mean()) for part in (precision, precision[0])]
    return known, (found, predicted - found, true - found)


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
