"""What each model costs at a volume, people's time included, and which one to run: pure functions of a comparison.

A tile costs what the model asks for it and the time of a person who reviews it: seconds for each feature that is right
(accepted, or corrected), false (rejected) or missing (drawn), and for looking the tile over. Which of these there are,
the comparison knows; how many seconds each takes, `Speeds`. So a better model costs fewer hours, with an interval:
blocks vary, the same for all models, and speeds by what their measurement leaves open.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from maploop.compare.break_even import BreakEven, Outlay, break_even_of, frontier
from maploop.compare.gate import Gate, GateRule, hold_to
from maploop.compare.judgement import MARGIN, QUALITIES, Judgement, judge
from maploop.compare.pace import Floats, drawn_paces, pace_of
from maploop.compare.sidebyside import Comparison, Contender, difference_of
from maploop.compare.spending import OURS, Speeds, Spent
from maploop.compare.verdict import BY_HAND, Weighed, notes_of, verdict_of
from maploop.errors import InputError
from maploop.prices import Price
from maploop.quality.intervals import percentiles, reason_for_none
from maploop.quality.statistics import Metric

__all__ = ["BY_HAND", "Assumptions", "BreakEven", "Economy", "ModelCosts", "token_cost", "weigh"]
HOUR = 3600.0


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
    corrected           by model name: of its predictions that people kept, the share that they had to correct, where
                        that is known of it: `spending.corrected_shares`; else what `speeds` say of all
    figure              which quality the verdict and the chart go by
    margin              within which a difference of that does not matter
    rule                the project's, by which a model may take over from the first one
    tries               by model name: how many candidates it is on the test split: `evaluations.tries_of`
    """

    speeds: Speeds
    volume: int = 10_000
    wage: float = 20.0
    machine_hour: float = 0.0
    prices: Mapping[str, Price] = field(default_factory=dict)
    cost_per_1000: Mapping[str, float] = field(default_factory=dict)
    training: Mapping[str, float] = field(default_factory=dict)
    corrected: Mapping[str, Metric] = field(default_factory=dict)
    figure: str = "f1"
    margin: float = MARGIN
    rule: GateRule = field(default_factory=GateRule)
    tries: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises InputError."""
        if self.figure not in QUALITIES:
            msg = f"{self.figure!r} is no quality to judge by, of which more is better: use {', '.join(QUALITIES)}."
            raise InputError(msg)
        if self.volume < 1:
            msg = f"{self.volume} is not a volume: use 1 tile or more."
            raise InputError(msg)
        amounts = [("wage", self.wage), ("machine's price", self.machine_hour)]
        amounts += [(f"price of {name!r}", each) for name, each in self.cost_per_1000.items()]
        amounts += [(f"training cost of {name!r}", each) for name, each in self.training.items()]
        for what, amount in amounts:
            if not 0 <= amount < float("inf"):
                msg = f"{amount:g} cannot be the {what}: use USD, 0 or more."
                raise InputError(msg)


@dataclass(frozen=True)
class ModelCosts:
    """One model's costs. Money is USD; None: not known, and `unknown` says why.

    quality             the figure that the verdict goes by
    model_per_1000      what the model itself asks for 1,000 tiles; `model_per_km2` the same per square kilometre
    seconds_per_1000    of the model, one tile after another
    review_hours_per_1000       of people, with what the model leaves to do
    hours_saved_per_1000        against drawing everything by hand
    outlay_per_1000     what the model asks, with its training spread over the volume: the chart's cost
    per_tile            model and people together, without training
    total               training and `volume` tiles, people included
    on_frontier         nothing compared is both better and cheaper, by quality and outlay
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
    outlay_per_1000: float | None
    per_tile: float | None
    total: Metric
    on_frontier: bool
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Economy:
    """What it comes to: `rows` in the order of the models, `break_evens` of every pair, `verdict` in one sentence.

    by_hand     the baseline: no model, everything drawn by people; None when no model answered enough of the tiles
    against_hand    break-even of drawing by hand and each model
    best        the model that costs least at the volume, people included; None where too little is known
    run         the model that the verdict says to run, or `BY_HAND`; None where it does not say
    judgements  quality of every other model that answered enough against the first such one, as the verdict has it
    gates       by model, whether it may take over from that one by the project's rule, as the verdict has it
    notes       what was assumed, a sentence each
    """

    assumptions: Assumptions
    rows: tuple[ModelCosts, ...]
    break_evens: tuple[BreakEven, ...]
    by_hand: ModelCosts | None
    against_hand: tuple[BreakEven, ...]
    best: str | None
    run: str | None
    judgements: Mapping[str, Judgement]
    gates: Mapping[str, Gate]
    verdict: str
    notes: tuple[str, ...]

    def row(self, model: str) -> ModelCosts:
        """The costs of one model."""
        return next(each for each in self.rows if each.model == model)

    def break_even(self, first: str, second: str) -> BreakEven:
        """Of any two models, in either order."""
        return next(each for each in self.break_evens if {each.first, each.second} == {first, second})


def weigh(comparison: Comparison, assumptions: Assumptions) -> Economy:
    """Costs of each model and of drawing by hand under the assumptions, and the choice among them.

    Models that answered too few of the tiles are not reckoned with.
    """
    reckoned = {each.name: _Reckoned(comparison, each, assumptions) for each in comparison.whole}
    points = [(each.outlay_per_1000, each.quality.value) for each in reckoned.values()]
    on_frontier = dict(zip(reckoned, frontier(points), strict=True))
    rows = tuple(
        replace(reckoned[each.name].costs(comparison), on_frontier=on_frontier[each.name])
        if each.is_whole
        else _nothing(each, assumptions)
        for each in comparison.contenders
    )
    by_hand = _ByHand(comparison, next(iter(reckoned.values()))) if reckoned else None
    pairs = tuple(break_even_of(a.outlay, b.outlay, _saving(a, b)) for a, b in combinations(reckoned.values(), 2))
    hand_pairs = {
        name: break_even_of(by_hand.outlay, each.outlay, _saving(by_hand, each))
        for name, each in reckoned.items()
        if by_hand is not None
    }
    first, others = (comparison.whole[0], comparison.whole[1:]) if reckoned else (None, ())
    judgements = {
        each.name: judge(difference_of(first, each, assumptions.figure), assumptions.margin)
        for each in others
        if first is not None
    }
    gates = {each.name: hold_to(assumptions.rule, each, first, assumptions.tries.get(each.name, 1)) for each in others}
    totals = {name: each.total for name, each in reckoned.items()}
    weighed = Weighed(
        totals,
        by_hand.total if by_hand else 0.0,
        pairs,
        hand_pairs,
        {row.model: row.hours_saved_per_1000 for row in rows},
        judgements,
        gates,
    )
    advice = verdict_of(comparison, assumptions.volume, weighed)
    known = {name: total for name, total in totals.items() if total is not None}
    return Economy(
        assumptions=assumptions,
        rows=rows,
        break_evens=pairs,
        by_hand=by_hand.costs(comparison) if by_hand else None,
        against_hand=tuple(hand_pairs.values()),
        best=min(known, key=lambda name: known[name]) if known and len(known) == len(totals) else None,
        run=advice.run,
        judgements=judgements,
        gates=gates,
        verdict=advice.text,
        notes=tuple(notes_of(comparison, assumptions, rows)),
    )


def _nothing(model: Contender, assumptions: Assumptions) -> ModelCosts:
    """The row of a model that answered too few of the tiles: its quality there, and no costs."""
    none = Metric(None, 0, 0)
    return ModelCosts(
        model=model.name,
        quality=model.figure(assumptions.figure),
        model_per_1000=None,
        model_per_km2=None,
        seconds_per_1000=None,
        seconds_per_km2=None,
        training=None,
        review_hours_per_1000=none,
        review_hours_per_km2=none,
        hours_saved_per_1000=none,
        outlay_per_1000=None,
        per_tile=None,
        total=none,
        on_frontier=False,
        unknown=("it answered too few of the tiles to be weighed",),
    )


class _Reckoned:
    """One model's figures, and the same for every resample."""

    def __init__(self, comparison: Comparison, model: Contender, assumptions: Assumptions) -> None:
        self.model = model
        self.assumptions = assumptions
        self.quality = model.figure(assumptions.figure)
        self.unknown: list[str] = []
        self.fee = self._fee()
        self.training = self._training()
        self.tiles = len(comparison.tiles)
        counts = model.detail.counts.sum(axis=0) / self.tiles
        drawn = comparison.resampled_counts[model.name] / self.tiles
        corrected = assumptions.corrected.get(model.name, assumptions.corrected.get(model.model_name))
        pace = pace_of(assumptions.speeds, corrected)
        paces = drawn_paces(assumptions.speeds, corrected, model.name, len(drawn))
        self.seconds, self.seconds_spread = float(pace.review(counts)), paces.review(drawn)
        self.saved = float(pace.by_hand(counts)) - self.seconds
        self.saved_spread = paces.by_hand(drawn) - self.seconds_spread

    def _training(self) -> float | None:
        """USD that making the model took."""
        told, known = self.assumptions, self.model.training_cost
        if self.model.name in told.training:
            return told.training[self.model.name]
        if known is None:
            self.unknown.append("what training it cost is not known: say so")
            return None
        return known + told.machine_hour * self.model.training_seconds / HOUR

    def _fee(self) -> float | None:
        """USD that a tile costs on the model's side."""
        told, spent = self.assumptions, self.model.spent
        if self.model.name in told.cost_per_1000:
            return told.cost_per_1000[self.model.name] / 1000
        if not spent.tiles and self.model.backend in OURS and not told.machine_hour:
            return 0.0  # its predictions came as a file, but it asks nobody for money
        if not spent.tiles:
            self.unknown.append("a file does not say what its predictions cost: give a price for 1,000 tiles")
            return None
        machine = 0.0
        if self.model.backend in OURS:
            machine = told.machine_hour * spent.seconds / HOUR / spent.tiles
        if self.model.name in told.prices:
            return machine + token_cost(spent, told.prices[self.model.name]) / spent.tiles
        if spent.cost is None:
            self.unknown.append("the price of its tokens is not known: give one")
            return None
        return machine + spent.cost / spent.tiles

    @property
    def people(self) -> float:
        """USD of review a tile."""
        return self.assumptions.wage * self.seconds / HOUR

    @property
    def outlay(self) -> Outlay:
        unit = None if self.fee is None else self.fee + self.people
        return Outlay(self.model.name, self.training, unit)

    @property
    def outlay_per_1000(self) -> float | None:
        if self.fee is None or self.training is None:
            return None
        return 1000 * (self.fee + self.training / self.assumptions.volume)

    @property
    def total(self) -> float | None:
        return self.outlay.total(self.assumptions.volume)

    @property
    def total_spread(self) -> Floats:
        """Of resamples; without what does not vary."""
        return np.asarray(self.assumptions.volume * self.assumptions.wage * self.seconds_spread / HOUR)

    @property
    def name(self) -> str:
        return self.model.name

    def costs(self, comparison: Comparison) -> ModelCosts:
        per_km2 = self.tiles / comparison.km2
        seconds = self.model.spent.seconds_a_tile
        total = self.total
        fixed = 0.0 if total is None else total - self.people * self.assumptions.volume
        low, high = percentiles(self.total_spread + fixed)
        return ModelCosts(
            model=self.model.name,
            quality=self.quality,
            model_per_1000=None if self.fee is None else 1000 * self.fee,
            model_per_km2=None if self.fee is None else per_km2 * self.fee,
            seconds_per_1000=None if seconds is None else 1000 * seconds,
            seconds_per_km2=None if seconds is None else per_km2 * seconds,
            training=self.training,
            review_hours_per_1000=self._hours(1000, self.seconds, self.seconds_spread),
            review_hours_per_km2=self._hours(per_km2, self.seconds, self.seconds_spread),
            hours_saved_per_1000=self._hours(1000, self.saved, self.saved_spread),
            outlay_per_1000=self.outlay_per_1000,
            per_tile=self.outlay.unit,
            total=Metric(None, 0, self.tiles) if total is None else _resting_on(self.model, total, low, high),
            on_frontier=False,
            unknown=tuple(self.unknown),
        )

    def _hours(self, tiles: float, seconds: float, spread: Floats) -> Metric:
        low, high = percentiles(spread * tiles / HOUR)
        return _resting_on(self.model, seconds * tiles / HOUR, low, high)


def _resting_on(model: Contender, value: float, low: float | None, high: float | None) -> Metric:
    """An amount that rests on the tiles compared, and on their blocks."""
    tiles, blocks = model.evaluation.tiles, model.evaluation.blocks
    return Metric(value, tiles, tiles, low, high, tiles, blocks, reason_for_none(blocks))


class _ByHand:
    """The baseline: no model and no fee, everything that is there drawn by people; on the same tiles as `model`."""

    def __init__(self, comparison: Comparison, model: _Reckoned) -> None:
        self._like = model
        self.model, self.assumptions, self.tiles = model.model, model.assumptions, model.tiles
        self.fee: float | None = 0.0
        self.training: float | None = 0.0
        self.seconds = model.seconds + model.saved
        self.seconds_spread = model.seconds_spread + model.saved_spread
        self._truths = len(comparison.truth)

    @property
    def outlay(self) -> Outlay:
        return Outlay(BY_HAND, 0.0, self.assumptions.wage * self.seconds / HOUR)

    @property
    def total(self) -> float:
        return self.assumptions.volume * self.assumptions.wage * self.seconds / HOUR

    def costs(self, comparison: Comparison) -> ModelCosts:
        """Its quality is that of predicting nothing: 0 where there is anything to find."""
        per_km2 = self.tiles / comparison.km2
        low, high = percentiles(self.assumptions.volume * self.assumptions.wage * self.seconds_spread / HOUR)
        saved = Metric(0.0, self.tiles, self.tiles)
        return ModelCosts(
            model=BY_HAND,
            quality=Metric(0.0 if self._truths else None, self._truths, self._truths),
            model_per_1000=0.0,
            model_per_km2=0.0,
            seconds_per_1000=None,
            seconds_per_km2=None,
            training=0.0,
            review_hours_per_1000=self._hours(1000),
            review_hours_per_km2=self._hours(per_km2),
            hours_saved_per_1000=saved,
            outlay_per_1000=0.0,
            per_tile=self.outlay.unit,
            total=_resting_on(self.model, self.total, low, high),
            on_frontier=False,
            unknown=(),
        )

    def _hours(self, tiles: float) -> Metric:
        low, high = percentiles(self.seconds_spread * tiles / HOUR)
        return _resting_on(self.model, self.seconds * tiles / HOUR, low, high)


def _saving(first: "_Reckoned | _ByHand", second: "_Reckoned | _ByHand") -> Metric:
    """What the second model costs less than the first at the volume; what both have in common cancels out exactly."""
    if first.training is None or second.training is None or first.fee is None or second.fee is None:
        return Metric(None, 0, first.tiles)
    told = first.assumptions
    fixed = first.training - second.training + told.volume * (first.fee - second.fee)
    usd = told.volume * told.wage / HOUR
    low, high = percentiles(fixed + usd * (first.seconds_spread - second.seconds_spread))
    value = fixed + usd * (first.seconds - second.seconds)
    blocks = first.model.evaluation.blocks
    return Metric(value, first.tiles, first.tiles, low, high, first.tiles, blocks, reason_for_none(blocks))


def token_cost(spent: Spent, price: Price) -> float:
    """USD of tokens at a price; what has no price of its own is charged as input."""
    cached = price.input if price.cached_input is None else price.cached_input
    written = price.input if price.cache_write is None else price.cache_write
    return (
        spent.input_tokens * price.input
        + spent.cached_tokens * cached
        + spent.cache_write_tokens * written
        + spent.output_tokens * price.output
    ) / 1e6
