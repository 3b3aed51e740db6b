"""The same numbers as pycocotools, to the last digit, on the same boxes and on the same masks."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from maploop.evaluate.metrics import Evaluation
from maploop.vectors.geometry import GeometryType
from tests.evaluate.ground import Drawn, judged

CLASSES: dict[str, GeometryType] = {"building": "polygon", "shed": "polygon", "tank": "polygon", "silo": "polygon"}
NAMES = list(CLASSES)
SIDE = 64  # pixels of an image
Shape = Callable[[np.random.Generator], BaseGeometry]


def a_box(generator: np.random.Generator) -> BaseGeometry:
    x, y = generator.integers(0, SIDE - 20, 2).tolist()
    width, height = generator.integers(4, 20, 2).tolist()
    drawn: BaseGeometry = shapely.box(x, y, x + width, y + height)
    return drawn


def a_corner(generator: np.random.Generator) -> BaseGeometry:
    """Two boxes that overlap, on whole pixels."""
    first = a_box(generator)
    x0, y0, x1, y1 = first.bounds
    corner: BaseGeometry = first.union(shapely.box(x0, y0, min(x1 + 8, SIDE), (y0 + y1) // 2 + 1))
    return corner


def moved(shape: BaseGeometry, generator: np.random.Generator) -> BaseGeometry:
    dx, dy = generator.integers(-2, 3, 2).tolist()
    x0, y0, x1, y1 = shape.bounds
    dx, dy = int(np.clip(dx, -x0, SIDE - x1)), int(np.clip(dy, -y0, SIDE - y1))
    return affinity.translate(shape, dx, dy)


def scene(seed: int, images: int, a_tile: int, shape: Shape) -> tuple[list[Drawn], list[Drawn]]:
    """Truth and predictions with scores of two decimals (so that many are equal), the last class without truth."""
    generator = np.random.default_rng(seed)
    truth: list[Drawn] = []
    predictions: list[Drawn] = []
    for tile in range(images):
        for _ in range(int(generator.integers(0, a_tile))):
            drawn, name = shape(generator), NAMES[int(generator.integers(0, 3))]
            truth.append((drawn, name, tile))
            for _ in range(int(generator.integers(0, 3))):
                other = name if generator.random() < 0.8 else NAMES[int(generator.integers(0, 4))]
                predictions.append((moved(drawn, generator), other, tile, round(float(generator.random()), 2)))
        for _ in range(int(generator.integers(0, 4))):
            name = NAMES[int(generator.integers(0, 4))]
            predictions.append((shape(generator), name, tile, round(float(generator.random()), 2)))
    return truth, predictions


def drawn_mask(shape: BaseGeometry) -> Any:
    columns, rows = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
    inside = np.asarray(shapely.contains_xy(shape, columns, rows))
    return masks.encode(np.asfortranarray(inside.astype(np.uint8)))


def by_pycocotools(
    truth: list[Drawn], predictions: list[Drawn], images: int, *, kind: str, max_detections: int
) -> tuple[COCOeval, dict[str, Any]]:
    def annotation(number: int, row: Drawn) -> dict[str, Any]:
        x0, y0, x1, y1 = row[0].bounds
        result = {
            "id": number + 1,
            "image_id": row[2],
            "category_id": NAMES.index(row[1]),
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": row[0].area,
            "iscrowd": 0,
        }
        if kind == "segm":
            result["segmentation"] = drawn_mask(row[0])
        return result | ({"score": row[3]} if len(row) == 4 else {})

    def document(rows: list[Drawn]) -> COCO:
        coco = COCO()
        coco.dataset = {
            "images": [{"id": image, "width": SIDE, "height": SIDE} for image in range(images)],
            "categories": [{"id": number, "name": name} for number, name in enumerate(NAMES)],
            "annotations": [annotation(number, row) for number, row in enumerate(rows)],
        }
        coco.createIndex()
        return coco

    reference = COCOeval(document(truth), document(predictions), kind)
    reference.params.maxDets = [1, 10, max_detections]
    reference.evaluate()
    reference.accumulate()
    precision = reference.eval["precision"][:, :, :, 0, -1]
    known = precision[precision > -1]
    at_half = precision[:1][precision[:1] > -1]
    return reference, {
        "ap": {name: _mean(precision[:, :, number]) for number, name in enumerate(NAMES)},
        "ap50": {name: _mean(precision[:1, :, number]) for number, name in enumerate(NAMES)},
        "overall": (float(np.mean(known)), float(np.mean(at_half))),
    }


def _mean(precision: NDArray[np.float64]) -> float | None:
    return None if precision.min() < 0 else float(np.mean(precision[precision > -1]))


def ours(evaluation: Evaluation) -> dict[str, Any]:
    overall = evaluation.overall.figures
    return {
        "ap": {name: scores.figures["ap"].value for name, scores in evaluation.classes.items()},
        "ap50": {name: scores.figures["ap50"].value for name, scores in evaluation.classes.items()},
        "overall": (overall["ap"].value, overall["ap50"].value),
    }


@pytest.mark.parametrize("seed", range(8))
def test_average_precision_of_boxes_is_that_of_pycocotools(seed: int) -> None:
    truth, predictions = scene(seed, images=12, a_tile=12, shape=a_box)
    _, expected = by_pycocotools(truth, predictions, 12, kind="bbox", max_detections=1000)
    assert ours(judged(truth, predictions, classes=CLASSES, tiles=12)) == expected


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_of_masks_is_that_of_pycocotools(seed: int) -> None:
    truth, predictions = scene(seed, images=8, a_tile=10, shape=a_corner)
    _, expected = by_pycocotools(truth, predictions, 8, kind="segm", max_detections=1000)
    assert ours(judged(truth, predictions, classes=CLASSES, tiles=8)) == expected


@pytest.mark.parametrize("most", [10, 20])
def test_a_limit_on_detections_is_that_of_pycocotools(most: int) -> None:
    truth, predictions = scene(5, images=3, a_tile=120, shape=a_box)
    _, expected = by_pycocotools(truth, predictions, 3, kind="bbox", max_detections=most)
    assert ours(judged(truth, predictions, classes=CLASSES, tiles=3, max_detections=most)) == expected
    assert ours(judged(truth, predictions, classes=CLASSES, tiles=3)) != expected


def test_of_two_equally_good_truths_the_one_that_pycocotools_takes() -> None:
    left, right = shapely.box(0, 0, 10, 10), shapely.box(4, 0, 14, 10)
    between = shapely.box(2, 0, 12, 10)
    for rest, pairs in ((left, 2), (right, 1)):
        truth: list[Drawn] = [(left, "building", 0), (right, "building", 0)]
        predictions: list[Drawn] = [(between, "building", 0, 0.9), (rest, "building", 0, 0.8)]
        _, expected = by_pycocotools(truth, predictions, 1, kind="bbox", max_detections=100)
        evaluation = judged(truth, predictions, classes=CLASSES, tiles=1)
        assert ours(evaluation) == expected
        assert evaluation.overall.tp == pairs


@pytest.mark.parametrize("seed", range(4))
def test_the_pairs_at_one_half_are_those_of_pycocotools(seed: int) -> None:
    truth, predictions = scene(seed, images=12, a_tile=12, shape=a_box)
    reference, _ = by_pycocotools(truth, predictions, 12, kind="bbox", max_detections=1000)
    evaluation = judged(truth, predictions, classes=CLASSES, tiles=12)
    for number, name in enumerate(NAMES):
        images = [
            each
            for each in reference.evalImgs
            if each and each["category_id"] == number and each["aRng"] == reference.params.areaRng[0]
        ]
        found = sum(int((each["dtMatches"][0] > 0).sum()) for each in images)
        predicted = sum(len(each["dtIds"]) for each in images)
        true = sum(len(each["gtIds"]) for each in images)
        scores = evaluation.classes[name]
        assert (scores.tp, scores.fp, scores.fn) == (found, predicted - found, true - found)
