"""The same pairs and F1 as the published SpaceNet matching on the same input.

The rule as the challenge describes it and its `evalTools.score` does it: proposals in the order given, each takes the
labelled polygon, among those still free, with which its IoU is highest, if that is at least the threshold.
"""

import random

import pytest
from shapely.geometry.base import BaseGeometry

from tests.evaluate.ground import Drawn, box, counts, judged, value


def spacenet(
    proposals: list[BaseGeometry], labels: list[BaseGeometry], threshold: float
) -> tuple[int, int, int, float]:
    """True and false positives, false negatives, F1."""
    free = list(labels)
    found = 0
    for proposal in proposals:
        ious = [proposal.intersection(label).area / proposal.union(label).area for label in free]
        if ious and max(ious) >= threshold:
            found += 1
            del free[ious.index(max(ious))]
    false, missed = len(proposals) - found, len(labels) - found
    if found == 0:
        return 0, false, missed, 0.0
    precision, recall = found / (found + false), found / (found + missed)
    return found, false, missed, 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("threshold", [0.25, 0.5, 0.7])
@pytest.mark.parametrize("seed", range(10))
def test_crowded_outlines_match_as_in_spacenet(seed: int, threshold: float) -> None:
    from maploop.evaluate.matching import Rules

    draw = random.Random(seed)
    labels = [
        box(draw.uniform(0, 60), draw.uniform(0, 60), draw.uniform(8, 20), draw.uniform(8, 20)) for _ in range(25)
    ]
    proposals = [
        box(x + draw.uniform(-3, 3), y + draw.uniform(-3, 3), w - x, h - y)
        for x, y, w, h in (each.bounds for each in draw.choices(labels, k=30))
    ]
    scores = sorted((draw.random() for _ in proposals), reverse=True)
    expected = spacenet(proposals, labels, threshold)
    truth: list[Drawn] = [(each, "building", 0) for each in labels]
    predictions: list[Drawn] = [(each, "building", 0, score) for each, score in zip(proposals, scores, strict=True)]
    draw.shuffle(predictions)  # the score decides, not the order
    evaluation = judged(truth, predictions, rules=Rules(iou_threshold=threshold))
    assert counts(evaluation, "building") == expected[:3]
    assert value(evaluation, "building", "f1") == pytest.approx(expected[3], abs=1e-15)


def test_without_scores_the_order_of_the_file_decides() -> None:
    labels = [box(0, 0), box(3, 0)]
    proposals = [box(2, 0), box(0, 0), box(3, 0)]
    truth: list[Drawn] = [(each, "building", 0) for each in labels]
    predictions: list[Drawn] = [(each, "building", 0) for each in proposals]
    assert counts(judged(truth, predictions), "building") == spacenet(proposals, labels, 0.5)[:3] == (2, 1, 0)
