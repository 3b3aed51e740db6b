"""The dated price table: what a million tokens cost, and how many tokens a picture is. Figures live in prices.json."""

import re
from functools import lru_cache
from importlib import resources
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_VERSION = re.compile(r"-\d{4}-\d{2}-\d{2}$")


class Price(BaseModel):
    """USD for a million tokens of each kind; None: unknown, or not charged apart."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float
    cached_input: float | None
    cache_write: float | None
    output: float
    training: float | None = None


class TilesRule(BaseModel):
    """A picture costs a base and so much for each 512 pixel tile of it, scaled to 768 on its shorter side."""

    rule: Literal["tiles"]
    base: int
    tile: int


class PatchesRule(BaseModel):
    """A picture costs a factor for each 32 pixel patch of it."""

    rule: Literal["patches"]
    factor: float


ImageRule = Annotated[TilesRule | PatchesRule, Field(discriminator="rule")]


class PriceTable(BaseModel):
    """Prices as they were on a date. An unknown model has no price: None, never a guess."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    date: str
    currency: str
    unit: str
    note: str
    models: dict[str, Price]
    tuned: dict[str, Price]
    image_tokens: dict[str, ImageRule]

    def price_of(self, model: str) -> Price | None:
        """The price of asking a model; `ft:gpt-4o-2024-08-06:org::id` is a tuned gpt-4o."""
        name = base_name(model)
        return self.tuned.get(name) if model.startswith("ft:") else self.models.get(name)

    def training_price(self, model: str) -> float | None:
        """USD for a million tokens of training a base model."""
        found = self.tuned.get(base_name(model))
        return found.training if found else None

    def image_rule(self, model: str) -> TilesRule | PatchesRule | None:
        """How the model counts the tokens of a picture: the longest name that begins its own says."""
        name = base_name(model)
        known = [each for each in self.image_tokens if name == each or name.startswith((f"{each}.", f"{each}-"))]
        return self.image_tokens[max(known, key=len)] if known else None


def base_name(model: str) -> str:
    """The family behind a model's identifier: without `ft:`, what follows the base, and a date."""
    base = model.removeprefix("ft:").partition(":")[0] if model.startswith("ft:") else model
    return _VERSION.sub("", base)


@lru_cache(maxsize=1)
def price_table() -> PriceTable:
    """The table that comes with Maploop."""
    return PriceTable.model_validate_json(resources.files("maploop.dataset").joinpath("prices.json").read_bytes())
