"""What a comparison comes to, in plain words: one sentence with its uncertainty, and what was assumed for it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from maploop.compare.break_even import BreakEven, in_tiles
from maploop.compare.sidebyside import FIGURE_NAMES, Comparison, Difference
from maploop.compare.spending import Speeds
from maploop.prices import load_prices
from maploop.quality.statistics import Metric

if TYPE_CHECKING:
    from maploop.compare.money import Assumptions, ModelCosts

_DONE = {"accept": "accepting", "correct": "correcting", "reject": "rejecting", "add": "drawing", "tile": "a look at"}


def verdict_of(comparison: Comparison, figure: str, volume: int, best: str | None, saving: BreakEven | None) -> str:
    """Which model to run and how sure that is, in one sentence.

    `saving`: of the first model and the best one; when the first is the best, of it and the next cheapest.
    """
    base = comparison.names[0]
    if len(comparison.names) < 2:
        return f"{base} stands alone: name another model to compare it with."
    if best is None or saving is None:
        return _by_quality(comparison, figure)
    rival = saving.second if best == saving.first else saving.first
    difference = comparison.difference(rival, best, figure)
    gain = _gain(saving.saving, best == saving.second)
    money = f"at {volume:,} tiles it costs {gain} than {rival}, people's time included"
    certain = _is_certain(saving.saving)
    if saving.tiles is not None and saving.cheaper == best:
        money += f", and pays for itself from {in_tiles(saving.tiles)} on"
    elif saving.tiles is not None:
        money += f", and no longer less from {in_tiles(saving.tiles)} on"
    quality = f"{_better(difference)} ({difference.text()})"
    if best == base:
        return f"Keep {base}{_doubt(certain)}: {money}; {quality}."
    return f"Run {best} in place of {base}{_doubt(certain)}: {quality}, and {money}."


def _doubt(certain: bool) -> str:
    return "" if certain else ", though the difference in cost may be chance"


def _gain(saving: Metric, second_is_cheaper: bool) -> str:
    """How much less the cheaper model costs."""
    sign = 1 if second_is_cheaper else -1
    value = sign * (saving.value or 0.0)
    ends = sorted(sign * each for each in (saving.low, saving.high) if each is not None)
    spread = f" (95 %: {ends[0]:,.0f} to {ends[1]:,.0f})" if ends else ""
    return f"{value:,.0f} USD less{spread}"


def _is_certain(saving: Metric) -> bool:
    return saving.low is not None and saving.high is not None and (saving.low > 0 or saving.high < 0)


def _better(difference: Difference) -> str:
    if difference.value is None:
        return "its quality cannot be compared"
    if not difference.is_certain:
        return "it is about as good"
    return "it is better" if difference.value > 0 else "it is worse"


def _by_quality(comparison: Comparison, figure: str) -> str:
    """When costs are not known: the best one, and how it compares with the first."""
    base = comparison.names[0]
    values = [(each.figure(figure).value, each.name) for each in comparison.contenders]
    known = [(value, name) for value, name in values if value is not None]
    if not known:
        return "There is nothing on these tiles, and nothing was predicted: compare on others."
    best = max(known, key=lambda each: each[0])[1]
    if best == base:
        return f"{base} is the best of these by {FIGURE_NAMES.get(figure, figure)}; not every cost is known."
    difference = comparison.difference(base, best, figure)
    sure = "is better" if difference.is_certain else "seems better"
    doubt = "" if difference.is_certain else ", but it may be chance"
    return f"{best} {sure} than {base}{doubt} ({difference.text()}); not every cost is known."


def notes_of(comparison: Comparison, assumptions: "Assumptions", rows: "Sequence[ModelCosts]") -> Iterator[str]:
    """What was assumed, a sentence each."""
    yield f"{assumptions.volume:,} tiles are to be mapped; an hour of review costs {assumptions.wage:,.2f} USD."
    yield _tiles_note(comparison)
    yield _speeds_note(assumptions.speeds)
    yield from _corrections(comparison, assumptions)
    yield "A person looks at every tile and every prediction; features that were missed are drawn by hand."
    yield f"Prices are those of {load_prices().date} where no other is given, and are taken as they are."
    if assumptions.machine_hour:
        yield f"An hour of the machine that runs a model of ours costs {assumptions.machine_hour:,.2f} USD."
    for row in rows:
        for reason in row.unknown:
            yield f"{row.model}: {reason}."
    for each in comparison.contenders:
        if each.failures:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in each.failures.items())
            yield f"{each.name} gave no usable answer on some tiles ({kinds}): what is there counts as missed."
    yield "Intervals are 95 %, over tiles drawn again, the same for all models, and what timing people leaves open."


def _tiles_note(comparison: Comparison) -> str:
    where = f"of the {comparison.split} split" if comparison.split else "that were chosen"
    area = f"{comparison.km2:,.3g} km2, projected"
    return f"Quality is measured on {in_tiles(len(comparison.tiles))} {where} ({area}), and taken to hold elsewhere."


def _corrections(comparison: Comparison, assumptions: "Assumptions") -> Iterator[str]:
    """How much must be corrected, of each model where that is known, of the others in common."""
    own = {name: assumptions.corrected[name] for name in comparison.names if name in assumptions.corrected}
    for name, share in own.items():
        yield f"Of the predictions of {name} that are kept, {_percent(share)} must be corrected (n {share.scored:,})."
    if len(own) < len(comparison.names):
        share = assumptions.speeds.corrected
        told = f"measured, n {share.scored:,}" if share.scored else "a guess: nobody was timed yet"
        whose = "of the other models" if own else "that are kept"
        yield f"Of the predictions {whose}, {_percent(share)} must be corrected, whatever the model ({told})."


def _percent(share: Metric) -> str:
    return f"{100 * (share.value or 0.0):.0f} %"


def _speeds_note(speeds: Speeds) -> str:
    parts = []
    for name, doing in _DONE.items():
        metric: Metric = getattr(speeds, name)
        told = f"n {metric.scored:,}" if metric.scored else "guessed"
        parts.append(f"{doing} {'a tile' if name == 'tile' else 'a feature'} {metric.value or 0:.1f} s ({told})")
    return f"People's time: {', '.join(parts)}."
