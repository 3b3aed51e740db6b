"""Counts and figures by class and over all, for polygons, lines and points."""

import numpy as np
import pytest
import shapely
from shapely import affinity

from maploop.errors import InputError
from maploop.evaluate.matching import Rules
from tests.evaluate.ground import box, counts, judged, line, value


def test_the_better_score_takes_the_truth() -> None:
    truth = [(box(0, 0), "building", 0)]
    evaluation = judged(truth, [(box(0, 0), "building", 0, 0.3), (box(2, 0), "building", 0, 0.9)])
    assert counts(evaluation, "building") == (1, 1, 0)
    assert value(evaluation, "building", "mean_iou") == pytest.approx(8 / 12, abs=1e-8)


def test_an_iou_of_exactly_one_half_matches() -> None:
    truth = [(box(k * 20, 0, 9, 9), "building", k % 4) for k in range(20)]
    predictions = [(box(k * 20 + 3, 0, 9, 9), "building", k % 4) for k in range(20)]
    assert counts(judged(truth, predictions), "building") == (20, 0, 0)
    stricter = judged(truth, predictions, rules=Rules(iou_threshold=0.500001))
    assert counts(stricter, "building") == (0, 20, 20)


def test_features_meet_on_their_tile_only() -> None:
    truth = [(box(0, 0), "building", 0), (line((0, 50), (90, 50)), "road", 0), (shapely.Point(0, 90), "well", 0)]
    same_place = [(affinity.translate(each, -1000, 0), name, 1, 0.9) for each, name, _ in truth]
    for name in ("building", "road", "well"):
        assert counts(judged(truth, same_place), name) == (0, 1, 1)
        assert counts(judged(truth, same_place, within_tiles=False), name) == (1, 0, 0)


def test_without_tiles_a_pair_counts_where_the_truth_is() -> None:
    truth = [(box(1000 * tile, 0), "building", 0) for tile in range(4)]
    predictions = [(box(0, 0), "building", tile, 0.9 - tile / 100) for tile in range(4)]
    scores = judged(truth, predictions, within_tiles=False).classes["building"]
    for metric in (scores.figures["recall"], scores.by_score[0].figures["recall"]):
        assert (metric.value, metric.blocks, metric.reason) == (1, 1, "one block")


def test_a_path_called_a_road_is_seen_as_such() -> None:
    truth = [(line((0, 0), (100, 0)), "path", 0), (line((0, 50), (100, 50)), "road", 0), (box(0, 80), "building", 0)]
    predictions = [
        (line((0, 1), (100, 1)), "road", 0, 0.9),
        (line((0, 51), (100, 51)), "road", 0, 0.8),
        (shapely.Point(70, 70), "well", 0, 0.5),
    ]
    evaluation = judged(truth, predictions)
    assert counts(evaluation, "path") == (0, 0, 1)
    assert counts(evaluation, "road") == (1, 1, 0)
    confusion = evaluation.confusion
    names = list(evaluation.classes)
    table = {(names[i], names[j]): int(confusion.table[i, j]) for i, j in np.argwhere(confusion.table).tolist()}
    assert table == {("path", "road"): 1, ("road", "road"): 1}
    assert dict(zip(names, confusion.missed.tolist(), strict=True)) == {"building": 1, "road": 0, "path": 0, "well": 0}
    assert dict(zip(names, confusion.spurious.tolist(), strict=True)) == {
        "building": 0,
        "road": 0,
        "path": 0,
        "well": 1,
    }


def test_lines_are_measured_by_length_within_the_tolerance() -> None:
    truth = [(line((0, 0), (100, 0)), "road", 0), (line((0, 50), (100, 50)), "road", 0)]
    predictions = [(line((0, 2), (50, 2)), "road", 0), (line((0, 90), (50, 90)), "road", 0)]
    evaluation = judged(truth, predictions)
    assert value(evaluation, "road", "completeness") == pytest.approx((50 + 5**0.5) / 200, abs=2e-3)
    assert value(evaluation, "road", "correctness") == pytest.approx(0.5, abs=1e-3)
    found, unfound = 50, 200 - 50 - 5**0.5
    assert value(evaluation, "road", "quality") == pytest.approx(found / (100 + unfound), abs=2e-3)
    assert "mean_iou" not in evaluation.classes["road"].figures
    assert counts(evaluation, "road") == (1, 1, 1)


def test_a_road_in_pieces_is_complete() -> None:
    truth = [(line((0, 0), (90, 0)), "road", 0)]
    pieces = [(line((x, 1), (x + 30, 1)), "road", 0) for x in (0, 30, 60)]
    evaluation = judged(truth, pieces)
    for figure in ("completeness", "correctness", "quality"):
        assert value(evaluation, "road", figure) == pytest.approx(1, abs=1e-6)
    backwards = judged(pieces, truth)
    assert value(backwards, "road", "quality") == pytest.approx(1, abs=1e-6)


def test_lines_of_another_class_do_not_make_a_road_complete() -> None:
    evaluation = judged([(line((0, 0), (90, 0)), "road", 0)], [(line((0, 0), (90, 0)), "path", 0)])
    assert value(evaluation, "road", "completeness") == 0
    assert value(evaluation, "path", "correctness") == 0


def test_points_match_within_their_tolerance_nearest_first() -> None:
    truth = [(shapely.Point(0, 0), "well", 0), (shapely.Point(3, 0), "well", 0)]
    predictions = [
        (shapely.Point(2, 0), "well", 0, 0.9),
        (shapely.Point(2.5, 0), "well", 0, 0.8),
        (shapely.Point(60, 0), "well", 0, 0.7),
    ]
    evaluation = judged(truth, predictions)
    assert counts(evaluation, "well") == (2, 1, 0)
    assert value(evaluation, "well", "mean_distance_m") == pytest.approx((1 + 2.5) / 2, abs=0.02)
    assert counts(judged(truth, predictions, rules=Rules(point_tolerance_m=1.2)), "well") == (1, 2, 1)


def test_tiles_on_which_the_model_failed_are_missed_and_counted_apart() -> None:
    truth = [(box(0, 0), "building", tile) for tile in (0, 1, 1)]
    predictions = [(box(0, 0), "building", tile, 0.9) for tile in (0, 1)]
    evaluation = judged(truth, predictions, tiles=3, failed=np.array([False, True, True]))
    assert counts(evaluation, "building") == (1, 0, 2)
    assert evaluation.classes["building"].missed_in_failed_tiles == 2
    assert evaluation.overall.missed_in_failed_tiles == 2
    assert (evaluation.tiles, evaluation.failed_tiles) == (3, 2)


def test_a_score_threshold_leaves_only_what_scores_as_much() -> None:
    truth = [(box(20 * k, 0), "building", 0) for k in range(4)]
    predictions = [(box(20 * k, 0 if k < 3 else 50), "building", 0, 0.2 + 0.2 * k) for k in range(4)]
    evaluation = judged(truth, predictions)
    bands = {band.low: (band.tp, band.fp, band.fn) for band in evaluation.classes["building"].by_score}
    assert bands[0] == bands[0.2] == (3, 1, 1)
    assert bands[0.25] == bands[0.4] == (2, 1, 2)
    assert bands[0.65] == (0, 1, 4)
    assert bands[0.95] == (0, 0, 4)
    assert judged(truth, [row[:3] for row in predictions]).classes["building"].by_score == ()


def test_sizes_add_up_to_the_whole() -> None:
    truth = [(box(30 * k, 0, 5 + k, 10), "building", 0) for k in range(9)]
    predictions = [(box(30 * k, 0 if k % 2 else 40, 5 + k, 10), "building", 0) for k in range(9)]
    evaluation = judged(truth, predictions)
    bands = evaluation.classes["building"].by_size
    assert [(band.name, band.tp + band.fn) for band in bands] == [("small", 3), ("medium", 3), ("large", 3)]
    assert [sum(column) for column in zip(*((b.tp, b.fp, b.fn) for b in bands), strict=True)] == [4, 5, 5]
    assert bands[0].low is None
    assert bands[0].high == bands[1].low
    assert 60 < (bands[1].low or 0) < 80


def test_counts_are_compared_in_all_and_tile_by_tile() -> None:
    truth = [(box(0, 0), "building", tile) for tile in (0, 0, 1)]
    predictions = [(box(0, 0), "building", tile) for tile in (1, 1, 1, 2)]
    evaluation = judged(truth, predictions)
    assert value(evaluation, "building", "count_error") == pytest.approx(1 / 3)
    assert value(evaluation, "building", "count_error_per_tile") == (2 + 2 + 1 + 0) / 4


def test_a_class_without_truth_and_predictions_without_scores_have_no_average_precision() -> None:
    truth = [(box(0, 0), "building", 0)]
    assert value(judged([], [(box(0, 0), "building", 0, 0.5)]), "building", "ap50") is None
    assert value(judged(truth, [(box(0, 0), "building", 0)]), "building", "ap50") is None
    assert value(judged(truth, []), "building", "ap50") == 0
    assert value(judged(truth, [(box(0, 0), "building", 0, 0.5)]), "building", "ap") == pytest.approx(1, abs=1e-12)


def test_nothing_against_nothing_is_no_figure_and_nothing_against_something_is_zero() -> None:
    nothing = judged([], [])
    for figure in ("precision", "recall", "f1", "mean_iou"):
        assert nothing.overall.figures[figure].value is None
        assert judged([(box(0, 0), "building", 0)], []).overall.figures[figure].value == 0
        assert judged([], [(box(0, 0), "building", 0)]).overall.figures[figure].value == 0


@pytest.mark.parametrize("rules", [(0, 3, 5), (1.1, 3, 5), (0.5, 0, 5), (0.5, 3, float("nan")), (float("nan"), 3, 5)])
def test_rules_that_cannot_be_are_refused(rules: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="use"):
        Rules(*rules)
