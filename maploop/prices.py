"""The dated price table: what a million tokens cost, and how many tokens a picture is.

Figures live in prices.json: the one that comes with Maploop, and over it, model by model, the one in the data folder,
which people edit.
"""

import re
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maploop.errors import InputError
from maploop.settings import get_settings

_VERSION = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_Rate = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
_Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S+$")]


class Price(BaseModel):
    """USD for a million tokens of each kind; None: not charged apart from other input, or not on offer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: _Rate
    cached_input: _Rate | None = None
    cache_write: _Rate | None = None
    output: _Rate
    training: _Rate | None = None

    def cost(self, input_tokens: int, cached_tokens: int, cache_write_tokens: int, output_tokens: int) -> float:
        """USD for so many tokens, each counted in one kind only."""
        cached = self.input if self.cached_input is None else self.cached_input
        written = self.input if self.cache_write is None else self.cache_write
        spent = input_tokens * self.input + cached_tokens * cached + cache_write_tokens * written
        return (spent + output_tokens * self.output) / 1e6

    def times(self, share: float) -> Self:
        """The price where only a share of it is charged, as for batches."""
        rates = {name: None if rate is None else rate * share for name, rate in self.model_dump().items()}
        return self.model_copy(update=rates)


class TilesRule(BaseModel):
    """A picture costs a base and so much for each 512 pixel tile of it, scaled to 768 on its shorter side."""

    rule: Literal["tiles"]
    base: int = Field(ge=0)
    tile: int = Field(ge=0)


class PatchesRule(BaseModel):
    """A picture costs a factor for each 32 pixel patch of it."""

    rule: Literal["patches"]
    factor: float = Field(gt=0, allow_inf_nan=False)


ImageRule = Annotated[TilesRule | PatchesRule, Field(discriminator="rule")]


class OwnPrices(BaseModel):
    """What people say beside or against the table that comes with Maploop, by model; `date` is when they looked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    date: str = Field(default="", max_length=40)
    models: dict[_Name, Price] = {}
    tuned: dict[_Name, Price] = {}
    image_tokens: dict[_Name, ImageRule] = {}


class PriceTable(BaseModel):
    """Prices as they were on a date. An unknown model has no price: None, never a guess.

    `batch_share`: of the price of a request, what it costs in a batch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    date: str
    currency: str
    unit: str
    note: str
    batch_share: float = Field(gt=0, le=1)
    models: dict[str, Price]
    tuned: dict[str, Price]
    image_tokens: dict[str, ImageRule]

    def price_of(self, model: str) -> Price | None:
        """The price of asking a model; `ft:gpt-4o-2024-08-06:org::id` is a tuned gpt-4o.

        A model that the table names in full has that price, otherwise its family's counts.
        """
        if model in self.models:
            return self.models[model]
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

    def with_own(self, own: OwnPrices) -> "PriceTable":
        """This table with people's own prices over it."""
        return self.model_copy(
            update={
                "date": own.date or self.date,
                "models": {**self.models, **own.models},
                "tuned": {**self.tuned, **own.tuned},
                "image_tokens": {**self.image_tokens, **own.image_tokens},
            }
        )


def base_name(model: str) -> str:
    """The family behind a model's identifier: without `ft:`, what follows the base, and a date."""
    base = model.removeprefix("ft:").partition(":")[0] if model.startswith("ft:") else model
    return _VERSION.sub("", base)


def load_prices() -> PriceTable:
    """The table in force: the one that comes with Maploop, with the data folder's over it. Raises InputError."""
    return built_in_prices().with_own(own_prices())


@lru_cache(maxsize=1)
def built_in_prices() -> PriceTable:
    """The table that comes with Maploop."""
    return PriceTable.model_validate_json(resources.files("maploop").joinpath("prices.json").read_bytes())


def own_prices() -> OwnPrices:
    """What the data folder says; nothing when there is no such file. Raises InputError when it is damaged."""
    path = prices_path()
    try:
        seen = path.stat()
    except OSError:
        return OwnPrices()
    return _read(path, seen.st_mtime_ns, seen.st_size)


def save_prices(own: OwnPrices | dict[str, Any]) -> PriceTable:
    """Keep people's own prices in the data folder, in place of those there -> the table in force then.

    Raises InputError naming the value that does not fit; nothing is changed then.
    """
    if not isinstance(own, OwnPrices):
        own = _checked(own, "These prices")
    path = prices_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid4().hex}.draft")
    try:
        draft.write_text(own.model_dump_json(indent=2) + "\n", encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _read.cache_clear()  # two saves may share a time stamp and a size
    return load_prices()


def prices_path() -> Path:
    """Where people's own prices are kept."""
    return get_settings().data / "prices.json"


@lru_cache(maxsize=4)
def _read(path: Path, _changed: int, _size: int) -> OwnPrices:
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}): make it readable, or remove it."
        raise InputError(msg) from error
    return _checked(content, str(path))


def _checked(content: bytes | dict[str, Any], what: str) -> OwnPrices:
    try:
        if isinstance(content, bytes):
            return OwnPrices.model_validate_json(content)
        return OwnPrices.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "the whole"
        msg = f"{what}: {where} does not fit, {first['msg'].lower()}: correct it, or leave it out."
        raise InputError(msg) from error
