"""What a score is worth by people's verdicts, and from which score on nobody need look."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from maploop.compare.reliability import (
    Judged,
    choose_threshold,
    design_effect_of,
    lower_bound,
    reliability_of,
)
from maploop.errors import InputError


def judged(scores: list[float], right: list[bool], tile: list[int] | None = None) -> Judged:
    """Each on a tile and block of its own, or on the tiles given, which are blocks too."""
    places = np.arange(len(scores)) if tile is None else np.array(tile)
    of_class = np.zeros(len(scores), dtype=np.int64)
    return Judged(np.array(scores), np.array(right, dtype=np.bool_), of_class, places, places)


def test_a_score_that_keeps_its_promise_has_no_error() -> None:
    found = reliability_of(judged([0.75] * 8, [True] * 6 + [False] * 2), ["building"])
    assert found["building"].calibration_error.value == pytest.approx(0)
    curve = found["building"].bins[7]
    assert (curve.low, curve.high, curve.mean_score, curve.right.value, curve.right.scored) == (0.7, 0.8, 0.75, 0.75, 8)
    assert found[None] == reliability_of(judged([0.75] * 8, [True] * 6 + [False] * 2), [])[None]


def test_the_error_is_the_mean_distance_weighted_by_bin() -> None:
    found = reliability_of(judged([0.95] * 3 + [0.15], [True, True, False, True]), ["building"])["building"]
    assert found.calibration_error.value == pytest.approx(0.75 * abs(2 / 3 - 0.95) + 0.25 * 0.85)
    error = found.calibration_error
    assert None not in (error.low, error.high)
    assert (error.low or 0) <= (error.value or 0) <= (error.high or 0)


def test_a_score_of_one_is_in_the_last_bin_and_without_verdicts_there_is_no_error() -> None:
    assert reliability_of(judged([1.0], [True]), ["building"])["building"].bins[9].right.scored == 1
    nothing = reliability_of(judged([], []), ["building"])["building"]
    assert (nothing.calibration_error.value, nothing.bins[0].mean_score) == (None, None)


def test_the_lower_bound_is_clopper_and_pearsons() -> None:
    expected = stats.binomtest(95, 100, alternative="greater").proportion_ci(0.95, method="exact").low
    assert lower_bound(95, 100, 0.95) == pytest.approx(float(expected))
    assert lower_bound(100, 100, 0.95) == pytest.approx(0.05 ** (1 / 100))
    assert lower_bound(0, 100, 0.95) == 0


def test_the_lowest_score_that_is_sure_enough_is_chosen_and_every_look_is_paid_for() -> None:
    scores = [0.9] * 400 + [0.5] * 400
    right = [True] * 400 + [True] * 200 + [False] * 200
    found = choose_threshold(judged(scores, right), "building", 0.95)
    assert (found.score, found.precision.value, found.precision.scored) == (0.55, 1.0, 400)
    assert found.lower == pytest.approx((0.05 / 20) ** (1 / 400))
    three = choose_threshold(judged(scores, right), "building", 0.95, classes=3)
    assert three.lower == pytest.approx((0.05 / 60) ** (1 / 400))
    assert choose_threshold(judged(scores, right), "building", 0.99).score is None


def test_few_verdicts_are_never_sure() -> None:
    found = choose_threshold(judged([0.9] * 20, [True] * 20), "building", 0.95)
    assert (found.score, found.lower, found.precision.value) == (None, None, None)
    assert choose_threshold(judged([], []), "building", 0.5).score is None


def test_predictions_that_go_wrong_together_count_for_less() -> None:
    together = judged([0.9] * 400, [True] * 380 + [False] * 20, [each // 20 for each in range(400)])
    alone = judged([0.9] * 400, [bool(each % 20) for each in range(400)], [each // 20 for each in range(400)])
    assert design_effect_of(together) == pytest.approx(20)
    assert design_effect_of(alone) == 1
    assert choose_threshold(alone, "building", 0.9).score == 0.0
    assert choose_threshold(together, "building", 0.9).score is None


@pytest.mark.parametrize("wanted", [0.0, 1.0, 1.5, float("nan")])
def test_a_precision_that_cannot_be_had_is_refused(wanted: float) -> None:
    with pytest.raises(InputError, match="is not a precision"):
        choose_threshold(judged([], []), "building", wanted)


rows = st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.integers(0, 5)), max_size=60)


@given(rows, st.floats(0.1, 0.9), st.floats(0, 0.09))
@settings(max_examples=50)
def test_asking_for_less_never_raises_the_score(
    rows: list[tuple[float, bool, int]], wanted: float, less: float
) -> None:
    columns = judged([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])
    strict = choose_threshold(columns, "building", wanted).score
    easy = choose_threshold(columns, "building", wanted - less).score
    assert strict is None or (easy is not None and easy <= strict)
    assert design_effect_of(columns) >= 1


def test_the_bound_holds_as_often_as_it_promises() -> None:
    """Verdicts drawn at a precision just below the wanted one: a score is chosen in error at most 1 time in 20."""
    generator = np.random.default_rng(7)
    errors = 0
    for _ in range(200):
        scores = generator.random(600)
        columns = judged(scores.tolist(), (generator.random(600) < 0.899).tolist())
        errors += choose_threshold(columns, "building", 0.9).score is not None
    assert errors <= 15
