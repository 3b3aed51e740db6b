"""What a run may cost: nothing is begun that might not be paid for."""

import threading

from maploop.errors import InputError
from maploop.predict.predictor import RunEndsError, Usage
from maploop.prices import Price


class Budget:
    """USD for a run; what is under way counts with the most it can cost. Safe to use from many threads.

    Without a limit everything can be paid for.
    """

    def __init__(self, limit: float | None, price: Price | None, *, input_tokens: int, max_tokens: int | None) -> None:
        """`input_tokens`: of one request, as expected; `max_tokens`: of one answer, at most.

        Raises InputError when a limit cannot be kept: the price is unknown, or answers have no end.
        """
        self._limit = limit
        self._price = price
        self._input_tokens = input_tokens
        self._max_tokens = max_tokens or 0
        self._spent = 0.0
        self._reserved = 0.0
        self._lock = threading.Lock()
        if limit is None:
            return
        if price is None:
            msg = f"A budget of {limit:g} USD cannot be kept, as the price of the model is unknown: put it into the "
            msg += "table of prices, or leave the budget out."
            raise InputError(msg)
        if max_tokens is None:
            msg = f"A budget of {limit:g} USD cannot be kept with answers of any length: give the model max_tokens."
            raise InputError(msg)

    def begin(self, used: Usage) -> None:
        """Say what the run used before. Raises RunEndsError when nobody knows what that cost."""
        self._reserved = 0.0
        if used.cost is None and self._limit is not None:
            msg = f"A budget of {self._limit:g} USD cannot be kept: what the run cost so far is unknown."
            raise RunEndsError(msg)
        self._spent = used.cost or 0.0

    def most(self) -> float:
        """USD that one more request can cost at most."""
        if self._price is None:
            return 0.0
        dearest = max(self._price.input, self._price.cache_write or 0.0, self._price.cached_input or 0.0)
        return (self._input_tokens * dearest + self._max_tokens * self._price.output) / 1e6

    def reserve(self) -> float | None:
        """Set aside what one more request can cost -> that sum, None when it is not there."""
        with self._lock:
            sum_of_one = self.most()
            if self._limit is not None and self._spent + self._reserved + sum_of_one > self._limit:
                return None
            self._reserved += sum_of_one
            return sum_of_one

    def settle(self, reserved: float, usage: Usage | None) -> None:
        """A request is over: `usage` is what it took; None, or an unknown cost: all that was set aside for it."""
        with self._lock:
            self._reserved -= reserved
            self._spent += reserved if usage is None or usage.cost is None else usage.cost
            if usage is not None:  # a picture may take more than the formula says
                taken = usage.input_tokens + usage.cached_tokens + usage.cache_write_tokens
                self._input_tokens = max(self._input_tokens, taken)

    def give_back(self, reserved: float) -> None:
        """A request was not sent, or brought an error that costs nothing."""
        with self._lock:
            self._reserved -= reserved

    def ended(self, left: int) -> RunEndsError:
        """What to say when the next tile cannot be paid for."""
        return RunEndsError(
            f"The budget of {self._limit:g} USD is used up: {self._spent:.4f} is spent and one more tile can cost "
            f"{self.most():.4f}. {left:,} tiles are left: resume the run with a larger budget."
        )
