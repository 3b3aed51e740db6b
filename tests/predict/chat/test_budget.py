"""A budget sets aside what a request can cost at most, and counts what it did cost."""

import pytest

from maploop.errors import InputError
from maploop.predict.chat.budget import Budget
from maploop.predict.predictor import NOTHING_USED, RunEndsError, Usage
from maploop.prices import Price

PRICE = Price(input=1.0, cached_input=0.1, cache_write=2.0, output=10.0)
MOST = (1000 * 2 + 100 * 10) / 1e6  # all written to the cache, the answer as long as it may be


def budget(limit: float | None) -> Budget:
    made = Budget(limit, PRICE, input_tokens=1000, max_tokens=100)
    made.begin(NOTHING_USED)
    return made


def test_what_is_under_way_counts_with_the_most_it_can_cost() -> None:
    made = budget(2.5 * MOST)
    first, second = made.reserve(), made.reserve()
    assert first == second == pytest.approx(MOST)
    assert made.reserve() is None
    assert first is not None
    made.settle(first, Usage(cost=0.1 * MOST))
    assert made.reserve() is not None


def test_what_cost_nothing_is_given_back_and_what_is_unknown_is_not() -> None:
    made = budget(1.5 * MOST)
    first = made.reserve()
    assert first is not None
    made.give_back(first)
    again = made.reserve()
    assert again is not None
    made.settle(again, None)
    assert made.reserve() is None


def test_a_picture_that_takes_more_than_expected_raises_what_is_set_aside() -> None:
    made = budget(10 * MOST)
    first = made.reserve()
    assert first is not None
    made.settle(first, Usage(input_tokens=5000, cost=0.005))
    assert made.most() == pytest.approx((5000 * 2 + 100 * 10) / 1e6)


def test_without_a_limit_everything_can_be_paid_for() -> None:
    free = Budget(None, None, input_tokens=1000, max_tokens=None)
    free.begin(Usage(cost=None))
    assert free.reserve() == 0.0


def test_a_limit_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(InputError, match="the price of the model is unknown"):
        Budget(1.0, None, input_tokens=1000, max_tokens=100)
    with pytest.raises(InputError, match="give the model max_tokens"):
        Budget(1.0, PRICE, input_tokens=1000, max_tokens=None)
    with pytest.raises(RunEndsError, match="what the run cost so far is unknown"):
        budget(1.0).begin(Usage(cost=None))
