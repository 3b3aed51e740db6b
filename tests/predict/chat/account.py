"""What a run of a chat model came to by what the server saw and charged meanwhile, against what the run says."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from maploop.database import Database
from maploop.predict.history import RunView, failed_tiles
from maploop.predict.predictor import Usage
from maploop.prices import load_prices
from tests.vendor import NONSENSE, Charge, Vendor
from tests.vendor.state import Seen

ASK = "POST /v1/chat/completions"


@dataclass(frozen=True)
class Account:
    """A run, with the charges and the questions of its time."""

    run: RunView
    charges: list[Charge]
    seen: list[Seen]

    def is_right(self, database: Database, *, at_once: bool = True) -> None:
        """Every tile has an answer or a reason, none was asked again without one, and each token is accounted for.

        `at_once`: it was not asked in batches.
        """
        run = self.run
        assert (run.status, run.pending, run.done + run.failed) == ("finished", 0, run.tiles)
        with database.read() as connection:
            failed = failed_tiles(connection, run.id)
        assert len({each.tile for each in failed}) == run.failed
        assert Counter(each.kind for each in failed) == run.failures
        assert all(each.message for each in failed)
        answered = Counter(each.about for each in self.charges)
        if at_once:
            settled = Counter(each.picture for each in self.seen if each.status == 200 and each.fault is not NONSENSE)
            assert set(settled.values()) == {1}
            assert answered == Counter(each.picture for each in self.seen if each.status == 200)
            assert len({each.picture for each in self.seen}) == run.tiles
        else:
            assert self.seen == []
            assert set(answered.values()) == {1}
        used_as_charged(run.usage, self.charges)


def keep_account(vendor: Vendor, predict: Callable[[], RunView]) -> Account:
    """Do it and write down what it came to."""
    charged, seen = len(vendor.bill.charges), len(vendor.requests_to(ASK))
    run = predict()
    return Account(run, vendor.bill.charges[charged:], vendor.requests_to(ASK)[seen:])


def used_as_charged(used: Usage, charges: list[Charge]) -> None:
    """Kind by kind, and in USD."""
    assert (used.input_tokens, used.cached_tokens, used.cache_write_tokens, used.output_tokens) == (
        sum(each.input_tokens + each.training_tokens for each in charges),
        sum(each.cached_tokens for each in charges),
        sum(each.cache_write_tokens for each in charges),
        sum(each.output_tokens for each in charges),
    )
    assert used.cost == pytest.approx(sum(cost_of(each) for each in charges), abs=1e-12)


def cost_of(charge: Charge) -> float:
    """USD; a base is trained at the price of what is made of it."""
    price = load_prices().price_of(f"ft:{charge.model}" if charge.kind == "training" else charge.model)
    assert price is not None
    return charge.cost(price)
