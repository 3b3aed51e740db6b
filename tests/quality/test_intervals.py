"""Intervals over blocks: of the right width, inside their range, and refused where they would be a guess."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from maploop.quality.intervals import (
    MAX_FOLDS,
    Folds,
    draw_totals,
    mean_by_block,
    percentiles,
    share_by_block,
)
from maploop.quality.statistics import wilson_interval


def test_the_interval_of_a_mean_is_students() -> None:
    values = np.random.default_rng(0).normal(5, 2, 12)
    metric = mean_by_block(values, np.arange(12))
    expected = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    assert (metric.low, metric.high) == pytest.approx(expected)
    assert (metric.tiles, metric.blocks) == (12, 12)


def test_tiles_that_say_the_same_as_their_block_add_nothing() -> None:
    values = np.random.default_rng(1).random(9)
    once = mean_by_block(values, np.arange(9))
    often = mean_by_block(np.repeat(values, 5), np.repeat(np.arange(9), 5))
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    assert (often.tiles, often.blocks) == (45, 9)


@pytest.mark.parametrize(("blocks", "reason"), [(1, "one block"), (2, "2 blocks, of 3 that it needs"), (3, "")])
def test_too_few_blocks_give_a_reason_in_place_of_an_interval(blocks: int, reason: str) -> None:
    block = np.arange(30) % blocks
    metric = share_by_block((np.arange(30) % 4).astype(np.float64), np.full(30, 4.0), block)
    assert metric.value is not None
    assert (metric.low is None, metric.reason, metric.blocks) == (bool(reason), reason, blocks)


@pytest.mark.parametrize("right", [0, 4])
def test_a_share_of_none_or_all_is_wilsons(right: int) -> None:
    metric = share_by_block(np.full(10, float(right)), np.full(10, 4.0), np.arange(10))
    assert (metric.low, metric.high) == pytest.approx(wilson_interval(10 * right, 40))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 7)), min_size=1, max_size=40))
def test_an_interval_holds_its_share_is_within_bounds_and_never_a_point(rows: list[tuple[int, int, int]]) -> None:
    right = np.array([row[0] for row in rows], dtype=np.float64)
    seen = right + np.array([row[1] for row in rows])
    metric = share_by_block(right, seen, np.array([row[2] for row in rows]))
    if metric.value is None:
        assert not seen.sum()
    elif metric.low is None or metric.high is None:
        assert metric.reason
    else:
        assert 0 <= metric.low <= metric.value + 1e-12
        assert metric.value - 1e-12 <= metric.high <= 1
        assert metric.low < metric.high


def test_many_blocks_are_left_out_in_groups_with_the_same_result() -> None:
    values = np.random.default_rng(2).normal(0, 1, 5_000)
    folds = Folds(np.arange(5_000))
    assert (folds.blocks, folds.count) == (5_000, MAX_FOLDS)
    metric = mean_by_block(values, np.arange(5_000))
    assert metric.low is not None
    assert metric.high is not None
    assert metric.high - metric.low == pytest.approx(2 * 1.96 * values.std() / 5_000**0.5, rel=0.15)


def test_drawn_totals_have_the_t_interval_of_the_total() -> None:
    counts = np.random.default_rng(4).poisson(8, (20, 1)).astype(np.float64)
    low, high = percentiles(draw_totals(counts, Folds(np.arange(20)), draws=20_000)[:, 0])
    half = stats.t.ppf(0.975, 19) * counts.std(ddof=1) * 20**0.5
    assert (low, high) == pytest.approx((counts.sum() - half, counts.sum() + half), rel=0.02)
    assert draw_totals(counts, Folds(np.zeros(20, dtype=np.int64))).shape == (0, 1)
