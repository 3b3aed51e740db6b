"""What must hold of any predictions of any truth."""

from typing import Any

import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from maploop.evaluate.metrics import Evaluation
from maploop.evaluate.report import as_json
from tests.evaluate.ground import CLASSES, Drawn, box, judged, line

place = st.floats(0, 60, width=32)
length = st.floats(4, 25, width=32)
tile = st.integers(0, 3)
POLYGON_FIGURES = ("precision", "recall", "f1", "mean_iou")


@st.composite
def something(draw: st.DrawFn) -> Drawn:
    name = draw(st.sampled_from(list(CLASSES)))
    x, y, width, height = draw(place), draw(place), draw(length), draw(length)
    if CLASSES[name] == "polygon":
        return box(x, y, width, height), name, draw(tile)
    if CLASSES[name] == "line":
        return line((x, y), (x + width, y + height)), name, draw(tile)
    return shapely.Point(x, y), name, draw(tile)


scene = st.lists(something(), max_size=12)
scored = st.lists(st.tuples(something(), st.floats(0, 1)), max_size=12, unique_by=lambda each: each[1]).map(
    lambda rows: [(*row[:3], score) for row, score in rows]
)


def told(evaluation: Evaluation) -> dict[str, Any]:
    """The answer without what depends on the draw."""
    answer = as_json(evaluation)
    return {name: answer[name] for name in ("overall", "classes", "confusion")}


def fractions(evaluation: Evaluation) -> list[float]:
    names = (*POLYGON_FIGURES, "ap50", "ap", "completeness", "correctness", "quality")
    every = [evaluation.overall, *evaluation.classes.values()]
    metrics = [scores.figures[name] for scores in every for name in names if name in scores.figures]
    metrics += [
        metric for scores in every for band in (*scores.by_score, *scores.by_size) for metric in band.figures.values()
    ]
    return [each for metric in metrics for each in (metric.value, metric.low, metric.high) if each is not None]


@given(scene)
def test_perfect_predictions_score_one(truth: list[Drawn]) -> None:
    evaluation = judged(truth, [(*row[:3], 0.5) for row in truth])
    for scores in (evaluation.overall, *evaluation.classes.values()):
        assert (scores.fp, scores.fn) == (0, 0)
        for name in ("precision", "recall", "f1", "mean_iou", "completeness", "correctness", "quality"):
            if name in scores.figures:
                assert scores.figures[name].value in (None, 1)
        assert (scores.figures["f1"].value is None) == (scores.tp == 0)


@given(scene.filter(bool))
def test_no_predictions_score_zero(truth: list[Drawn]) -> None:
    evaluation = judged(truth, [])
    assert (evaluation.overall.tp, evaluation.overall.fp, evaluation.overall.fn) == (0, 0, len(truth))
    for name in ("precision", "recall", "f1"):
        assert evaluation.overall.figures[name].value == 0


@given(scene, scored, st.randoms(use_true_random=False))
def test_the_order_of_predictions_does_not_matter(truth: list[Drawn], predictions: list[Drawn], random: Any) -> None:
    expected = told(judged(truth, predictions))
    shuffled = list(predictions)
    random.shuffle(shuffled)
    assert told(judged(truth, shuffled)) == expected


@given(scene, scored)
def test_a_false_prediction_more_never_raises_precision(truth: list[Drawn], predictions: list[Drawn]) -> None:
    before = judged(truth, predictions)
    nowhere = (box(300, 300), "building", 1, 0.99)
    after = judged(truth, [*predictions, nowhere])
    for name in ("precision", "f1", "ap50", "ap"):
        earlier, later = before.overall.figures[name].value, after.overall.figures[name].value
        assert later is None or earlier is None or later <= earlier
    assert after.overall.figures["recall"].value == (before.overall.figures["recall"].value or 0)
    assert after.overall.fp == before.overall.fp + 1


@given(scene, scored)
@settings(max_examples=200)
def test_figures_lie_between_zero_and_one_and_counts_add_up(truth: list[Drawn], predictions: list[Drawn]) -> None:
    evaluation = judged(truth, predictions)
    assert all(0 <= each <= 1 for each in fractions(evaluation))
    overall = evaluation.overall
    assert overall.tp + overall.fn == len(truth)
    assert overall.tp + overall.fp == len(predictions)
    confusion = evaluation.confusion
    assert confusion.table.sum() + confusion.missed.sum() == len(truth)
    assert confusion.table.sum() + confusion.spurious.sum() == len(predictions)
    for scores in evaluation.classes.values():
        for band in scores.by_score[:1]:
            assert (band.tp, band.fp, band.fn) == (scores.tp, scores.fp, scores.fn)
        if scores.by_size:
            assert sum(band.tp for band in scores.by_size) == scores.tp
            assert sum(band.fp for band in scores.by_size) == scores.fp
