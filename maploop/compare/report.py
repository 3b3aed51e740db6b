"""A comparison and its money as JSON and as text: what the CLI prints and reports are made from."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from maploop.compare.break_even import BreakEven
from maploop.compare.money import Economy, ModelCosts
from maploop.compare.sidebyside import Comparison, Contender, Difference
from maploop.compare.wording import fixed
from maploop.evaluate.report import as_json
from maploop.quality.statistics import Metric

_COLUMNS = (
    "model",
    "F1",
    "precision",
    "recall",
    "found",
    "missed",
    "false",
    "USD/1,000",
    "s/1,000",
    "h/1,000",
    "total",
)


def comparison_as_json(comparison: Comparison, economy: Economy | None = None) -> dict[str, Any]:
    """All of it, the geometries left aside; null where something is not known."""
    first = comparison.names[0]
    return {
        "project": comparison.project,
        "verdict": None if economy is None else economy.verdict,
        "run": None if economy is None else economy.run,
        "split": comparison.split,
        "tiles": len(comparison.tiles),
        "blocks": comparison.blocks,
        "tile_names": [str(tile) for tile in comparison.tiles],
        "left_out": [str(tile) for tile in comparison.left_out],
        "answered_share": comparison.answered_share,
        "truth": comparison.origin.to_json(),
        "blind": None if comparison.on_blind is None else _blind(comparison.on_blind),
        "km2": comparison.km2,
        "models": [_model(each) for each in comparison.contenders],
        "differences": [
            difference_as_json(each)
            for second in comparison.names[1:]
            for each in comparison.differences(first, second)
        ],
        "economy": None if economy is None else economy_as_json(economy),
    }


def _model(model: Contender) -> dict[str, Any]:
    return {
        "name": model.name,
        "f1": _bounds(model.figure("f1")),
        "model": model.name,
        "of": model.model_name,
        "backend": model.backend,
        "identifier": model.identifier,
        "parent": model.parent,
        "dataset": model.dataset_id,
        "runs": list(model.runs),
        "prompt_hashes": list(model.prompt_hashes),
        "asked": model.answers.asked,
        "answers": model.answers.to_json(),
        "is_whole": model.is_whole,
        "score_cut": model.score_cut,
        "tiles_not_asked": model.answers.not_asked,
        "failures": dict(model.failures),
        "spent": asdict(model.spent),
        "evaluation": as_json(model.evaluation),
    }


def _blind(comparison: Comparison) -> dict[str, Any]:
    """The quality on the blind tiles alone."""
    names = [each.name for each in comparison.whole]
    return {
        "tiles": len(comparison.tiles),
        "blocks": comparison.blocks,
        "models": [{"name": each.name, "f1": _bounds(each.figure("f1"))} for each in comparison.contenders],
        "differences": [difference_as_json(comparison.difference(names[0], name)) for name in names[1:]],
    }


def _bounds(metric: Metric) -> dict[str, float | None]:
    return {"value": metric.value, "low": metric.low, "high": metric.high}


def difference_as_json(difference: Difference) -> dict[str, Any]:
    """With its sentence."""
    return {**asdict(difference), "text": difference.text()}


def economy_as_json(economy: Economy) -> dict[str, Any]:
    """What each model costs, and what it comes to."""
    told = economy.assumptions
    return {
        "volume": told.volume,
        "wage": told.wage,
        "machine_hour": told.machine_hour,
        "figure": told.figure,
        "speeds": {name: metric_as_json(metric) for name, metric in vars(told.speeds).items()},
        "models": [_costs(row) for row in economy.rows],
        "by_hand": None if economy.by_hand is None else _costs(economy.by_hand),
        "break_even": [_break_even(each) for each in economy.break_evens],
        "against_hand": [_break_even(each) for each in economy.against_hand],
        "margin": told.margin,
        "relations": {name: each.relation for name, each in economy.judgements.items()},
        "may_take_over": {name: each.passed for name, each in economy.gates.items()},
        "best": economy.best,
        "verdict": economy.verdict,
        "notes": list(economy.notes),
    }


def metric_as_json(metric: Metric) -> dict[str, Any]:
    """A figure with what it rests on."""
    return {
        "value": metric.value,
        "n": metric.scored,
        "interval": None if metric.low is None else [metric.low, metric.high],
    }


def _costs(row: ModelCosts) -> dict[str, Any]:
    return {
        name: metric_as_json(value) if isinstance(value, Metric) else list(value) if isinstance(value, tuple) else value
        for name, value in vars(row).items()
    }


def _break_even(each: BreakEven) -> dict[str, Any]:
    return {**vars(each), "saving": metric_as_json(each.saving)}


def comparison_as_text(comparison: Comparison, economy: Economy) -> Iterator[str]:
    """A table of the models, the differences to the first, the verdict, the assumptions."""
    rows = [_COLUMNS, *(_row(each, economy.row(each.name)) for each in comparison.contenders)]
    yield from _table([*rows, *([_hand_row(economy.by_hand, comparison)] if economy.by_hand else [])])
    for second in comparison.names[1:]:
        told = [
            comparison.difference(comparison.names[0], second, economy.assumptions.figure, name)
            for name in (None, *comparison.classes)
        ]
        for each in told:
            if each.value is not None:
                yield f"{second} against {comparison.names[0]}, {each.class_name or 'over all'}: {each.text()}."
    for pair in (*economy.break_evens, *economy.against_hand):
        yield pair.text
    yield economy.verdict
    yield from economy.notes


def _row(model: Contender, costs: ModelCosts) -> tuple[str, ...]:
    overall = model.evaluation.overall
    return (
        f"{model.name}{' *' if costs.on_frontier else ''}",
        *(_figure(overall.figures[name]) for name in ("f1", "precision", "recall")),
        *(f"{each:,}" for each in (overall.tp, overall.fn, overall.fp)),
        *_money_cells(costs),
    )


def _hand_row(costs: ModelCosts, comparison: Comparison) -> tuple[str, ...]:
    """Drawing by hand: nothing is found or false before people draw it."""
    none, missed = _figure(costs.quality), f"{len(comparison.truth):,}"
    return (costs.model, none, "–", none, "0", missed, "0", *_money_cells(costs))


def _money_cells(costs: ModelCosts) -> tuple[str, ...]:
    return (
        _amount(costs.model_per_1000, 2),
        _amount(costs.seconds_per_1000, 0),
        _amount(costs.review_hours_per_1000.value, 1),
        _amount(costs.total.value, 0),
    )


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for name, *cells in rows:
        padded = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([name.ljust(widths[0]), *padded])


def _figure(metric: Metric) -> str:
    if metric.value is None:
        return "–"
    spread = "" if metric.low is None else f" ({metric.low:.2f} to {metric.high:.2f})"
    return f"{metric.value:.3f}{spread}"


def _amount(value: float | None, digits: int) -> str:
    return "–" if value is None else fixed(value, digits)
