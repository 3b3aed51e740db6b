"""What must hold of any predictions of any truth."""

from itertools import pairwise
from typing import Any

import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapely.ops import substring

from maploop.evaluate.lines import join_lines
from maploop.evaluate.metrics import Evaluation
from maploop.evaluate.report import as_json
from tests.evaluate.ground import CLASSES, Drawn, box, judged, layer, line

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


@given(
    st.lists(st.tuples(place, place), min_size=2, max_size=5, unique=True),
    st.lists(st.floats(0.02, 0.98), min_size=1, max_size=4),
    st.booleans(),
)
def test_a_line_scores_the_same_wherever_it_is_cut(
    points: list[tuple[float, float]], cuts: list[float], cut_truth: bool
) -> None:
    road, path = line(*points), line((-20, 30), (90, 31))
    assume(shapely.unary_union(road).length == pytest.approx(road.length))  # a road does not run back over itself
    truth = [(road, "road", 0), (path, "road", 0), (line((0, 200), (50, 200)), "road", 1)]
    drawn = [(shapely.transform(road, lambda at: at + 0.5), "road", 0, 0.6), (path, "road", 0, 0.6)]
    whole = judged(truth, drawn)
    pieces = [(piece, *row[1:]) for row in drawn for piece in pieces_of(row[0], cuts)]
    true_pieces = [(piece, *row[1:]) for row in truth for piece in pieces_of(row[0], cuts)] if cut_truth else truth
    cut = judged(true_pieces, pieces)
    for name in ("f1", "precision", "recall", "completeness", "correctness", "quality"):
        assert cut.classes["road"].figures[name].value == pytest.approx(
            whole.classes["road"].figures[name].value, abs=1e-6
        )


def counted(drawn: list[Drawn]) -> int:
    """Features as they are counted: lines that meet end to end are one."""
    return len(join_lines(layer(drawn), list(CLASSES.values())))


def pieces_of(road: Any, cuts: list[float]) -> list[Any]:
    """A line cut at shares of its length."""
    at = sorted({0.0, 1.0, *cuts})
    return [substring(road, start, end, normalized=True) for start, end in pairwise(at) if end - start > 1e-6]


def test_one_true_road_in_three_perfect_pieces_is_found() -> None:
    road = line((0, 0), (90, 0))
    pieces = [(line((x, 0), (x + 30, 0)), "road", 0, 0.9) for x in (0, 30, 60)]
    for truth, predictions in (([(road, "road", 0)], pieces), ([row[:3] for row in pieces], [(road, "road", 0, 0.9)])):
        evaluation = judged(truth, predictions)
        assert (evaluation.classes["road"].tp, evaluation.overall.figures["f1"].value) == (1, 1.0)


def test_a_road_goes_on_straight_where_others_meet_it_wherever_it_was_cut() -> None:
    through, side = line((0, 0), (80, 4)), line((40, 2), (42, 40))
    cut = [line((0, 0), (40, 2)), line((40, 2), (80, 4)), side]
    truth = [(each, "road", 0) for each in (through, side)]
    evaluation = judged(truth, [(each, "road", 0, 0.5) for each in cut])
    assert (evaluation.classes["road"].tp, evaluation.classes["road"].fp, evaluation.classes["road"].fn) == (2, 0, 0)
    again = judged([(each, "road", 0) for each in cut], [(each, "road", 0, 0.5) for each in (through, side)])
    assert again.overall.figures["f1"].value == 1.0


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
    assert (evaluation.overall.tp, evaluation.overall.fp, evaluation.overall.fn) == (0, 0, counted(truth))
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
    assert overall.tp + overall.fn == counted(truth)
    assert overall.tp + overall.fp == counted(predictions)
    confusion = evaluation.confusion
    assert confusion.table.sum() + confusion.missed.sum() == counted(truth)
    assert confusion.table.sum() + confusion.spurious.sum() == counted(predictions)
    for scores in evaluation.classes.values():
        for band in scores.by_score[:1]:
            assert (band.tp, band.fp, band.fn) == (scores.tp, scores.fp, scores.fn)
        if scores.by_size:
            assert sum(band.tp for band in scores.by_size) == scores.tp
            assert sum(band.fp for band in scores.by_size) == scores.fp
