"""What the vendor charges for: every answer and every training, once each, in tokens by kind."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

Kind = Literal["chat", "batch", "training"]


class Price(Protocol):
    """USD for a million tokens of each kind, such as `maploop.prices.Price`."""

    @property
    def input(self) -> float: ...
    @property
    def cached_input(self) -> float | None: ...
    @property
    def cache_write(self) -> float | None: ...
    @property
    def output(self) -> float: ...
    @property
    def training(self) -> float | None: ...


@dataclass(frozen=True)
class Charge:
    """One thing that was charged for; each token is counted in one kind only.

    about   the hash of the last picture of a question; the id of a tuning job
    part_of the batch it came in, and under which custom_id
    """

    kind: Kind
    model: str
    about: str | None
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    training_tokens: int = 0
    part_of: str | None = None
    custom_id: str | None = None

    def cost(self, price: Price) -> float:
        """USD; a batch is half. What is not charged apart is charged as input."""
        whole = (
            self.input_tokens * price.input
            + self.cached_tokens * (price.input if price.cached_input is None else price.cached_input)
            + self.cache_write_tokens * (price.input if price.cache_write is None else price.cache_write)
            + self.output_tokens * price.output
            + self.training_tokens * (price.training or 0.0)
        )
        return whole / 1e6 * (0.5 if self.kind == "batch" else 1.0)


@dataclass
class Bill:
    """All charges so far."""

    charges: list[Charge] = field(default_factory=list)

    def of(self, kind: Kind) -> list[Charge]:
        """The charges of one kind."""
        return [each for each in self.charges if each.kind == kind]

    def twice(self) -> dict[str, int]:
        """Pictures that were answered, and jobs that were trained, more than once, and how often."""
        return {key: count for key, count in self.times().items() if count > 1}

    def times(self) -> Counter[str]:
        """How often each picture was answered, and each job trained."""
        return Counter(each.about for each in self.charges if each.about)

    def cost(self, price_of: Callable[[str], Price | None]) -> float:
        """USD for all. Raises KeyError for a model without a price."""
        total = 0.0
        for each in self.charges:
            price = price_of(each.model)
            if price is None:
                raise KeyError(each.model)
            total += each.cost(price)
        return total
