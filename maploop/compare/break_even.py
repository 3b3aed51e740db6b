"""From which volume on which of two models is the cheaper one, and which models nothing beats: pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isinf

from maploop.quality.statistics import Metric


@dataclass(frozen=True)
class Outlay:
    """What a model costs once, and for every tile, people included; None: not known."""

    model: str
    fixed: float | None
    unit: float | None

    def total(self, volume: int) -> float | None:
        """For so many tiles."""
        return None if self.fixed is None or self.unit is None else self.fixed + volume * self.unit


@dataclass(frozen=True)
class BreakEven:
    """From which volume on which of two models is the cheaper one, people included.

    tiles       where both cost the same; None: at no volume, or not known
    cheaper     the model that is cheaper beyond `tiles`, or at every volume; None: equal, or not known
    below       the one that is cheaper before `tiles`; None where there is no such volume
    saving      USD at the assumed volume: what the second model costs less than the first, with its interval
    text        all of it in a sentence
    """

    first: str
    second: str
    tiles: float | None
    cheaper: str | None
    below: str | None
    saving: Metric
    text: str


def break_even_of(first: Outlay, second: Outlay, saving: Metric) -> BreakEven:
    """Hold two models against each other; the other way round gives the same tiles and the same cheaper model."""
    tiles, cheaper, below = _crossing(first, second)
    return BreakEven(first.model, second.model, tiles, cheaper, below, saving, _sentence(first, second, tiles, cheaper))


def _crossing(first: Outlay, second: Outlay) -> tuple[float | None, str | None, str | None]:
    """Where they cost the same; who is cheaper beyond; who before."""
    if first.fixed is None or first.unit is None or second.fixed is None or second.unit is None:
        return None, None, None
    if first.unit == second.unit:
        if first.fixed == second.fixed:
            return None, None, None
        return None, (first if first.fixed < second.fixed else second).model, None
    low, high = (first, second) if first.unit < second.unit else (second, first)
    tiles = (second.fixed - first.fixed) / (first.unit - second.unit)
    if isinf(tiles):  # the units hardly differ
        return None, (first if first.fixed < second.fixed else second).model, None
    return (tiles, low.model, high.model) if tiles > 0 else (None, low.model, None)


def _sentence(first: Outlay, second: Outlay, tiles: float | None, cheaper: str | None) -> str:
    other = first.model if cheaper == second.model else second.model
    if None in (first.fixed, first.unit, second.fixed, second.unit):
        unknown = " and ".join(each.model for each in (first, second) if None in (each.fixed, each.unit))
        return f"What {unknown} costs is not known."
    if cheaper is None:
        return f"{first.model} and {second.model} cost the same."
    if tiles is None:
        return f"{cheaper} is cheaper than {other} at every volume."
    return f"{cheaper} is cheaper than {other} from {in_tiles(tiles)} on."


def in_tiles(count: float) -> str:
    """A volume in words, rounded up to whole tiles."""
    whole = max(1, ceil(count))
    return "1 tile" if whole == 1 else f"{whole:,} tiles"


def frontier(points: Sequence[tuple[float | None, float | None]]) -> list[bool]:
    """Which of (cost, quality) nothing beats: no other is as cheap and as good, and better in one of the two.

    What has no cost or no quality is not on it.
    """
    known = [(cost, quality) for cost, quality in points if cost is not None and quality is not None]

    def stands(cost: float | None, quality: float | None) -> bool:
        if cost is None or quality is None:
            return False
        return not any(
            other_cost <= cost and other >= quality and (other_cost, other) != (cost, quality)
            for other_cost, other in known
        )

    return [stands(*point) for point in points]
