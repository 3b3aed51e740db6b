"""What each model costs at a volume, people's time included, and which one to run: pure functions of a comparison.

A tile costs what the model asks for it and the time of a person who reviews it: seconds for each feature that is right
(accepted, or corrected), false (rejected) or missing (drawn), and for looking the tile over. Which of these there are,
the comparison knows; how many seconds each takes, `Speeds`. So a better model costs fewer hours, with an interval:
tiles are drawn again, the same for all models.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from maploop.compare.sidebyside import Comparison, Difference
from maploop.compare.spending import Speeds
from maploop.dataset.prices import Price
from maploop.quality.statistics import Metric


@dataclass(frozen=True)
class Assumptions:
    """What the user may change.

    volume              tiles to be mapped with the chosen model
    wage                USD an hour of a person who reviews
    machine_hour        USD an hour of the machine that runs a model of ours; 0: it is there anyway
    speeds              seconds a decision, by kind: `spending.measured_speeds`, or the user's own
    prices              by model name: USD per million tokens, in place of what its runs cost
    cost_per_1000       by model name: USD per 1,000 tiles, in place of everything else
    training            by model name: USD, in place of what is known
    figure              which quality the verdict and the chart go by
    """

    speeds: Speeds
    volume: int = 10_000
    wage: float = 20.0
    machine_hour: float = 0.0
    prices: Mapping[str, Price] = field(default_factory=dict)
    cost_per_1000: Mapping[str, float] = field(default_factory=dict)
    training: Mapping[str, float] = field(default_factory=dict)
    figure: str = "f1"


@dataclass(frozen=True)
class ModelCosts:
    """One model's costs. Money is USD; None: not known, and `unknown` says why.

    quality             the figure that the verdict goes by
    model_per_1000      what the model itself asks for 1,000 tiles; `model_per_km2` the same per square kilometre
    seconds_per_1000    of the model, one tile after another
    review_hours_per_1000       of people, with what the model leaves to do
    hours_saved_per_1000        against drawing everything by hand
    per_tile            model and people together, without training
    total               training and `volume` tiles, people included
    on_frontier         nothing compared is both better and cheaper (at the volume, people included)
    """

    model: str
    quality: Metric
    model_per_1000: float | None
    model_per_km2: float | None
    seconds_per_1000: float | None
    seconds_per_km2: float | None
    training: float | None
    review_hours_per_1000: Metric
    review_hours_per_km2: Metric
    hours_saved_per_1000: Metric
    per_tile: float | None
    total: Metric
    on_frontier: bool
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class BreakEven:
    """From which volume on which of two models is the cheaper one, people included.

    tiles       where both cost the same; None: never, or not known
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


@dataclass(frozen=True)
class Economy:
    """What it comes to: `rows` in the order of the models, `break_evens` of every pair, `verdict` in one sentence."""

    assumptions: Assumptions
    rows: tuple[ModelCosts, ...]
    break_evens: tuple[BreakEven, ...]
    best: str | None
    verdict: str
    notes: tuple[str, ...]
    differences: tuple[Difference, ...]

    def row(self, model: str) -> ModelCosts:
        """The costs of one model."""
        return next(each for each in self.rows if each.model == model)

    def break_even(self, first: str, second: str) -> BreakEven:
        """Of any two models, in either order."""
        return next(each for each in self.break_evens if {each.first, each.second} == {first, second})


def weigh(comparison: Comparison, assumptions: Assumptions) -> Economy:
    """What each model costs under the assumptions, and which one to run."""
    raise NotImplementedError
