"""An evaluation as JSON and as lines of text."""

from collections.abc import Iterator, Mapping
from typing import Any

from maploop.evaluate.metrics import Band, Evaluation, Scores
from maploop.quality.intervals import reason_for_none
from maploop.quality.statistics import Metric

ALWAYS = ("precision", "recall", "f1", "mean_iou", "ap50", "ap")  # null where they do not apply
_SIZE_UNITS = {"polygon": "m2", "line": "m"}
_COLUMNS = ("class", "true", "found", "missed", "false", "precision", "recall", "F1")


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """The answer of `maploop evaluate --json`: no nan anywhere, null where there is nothing to measure."""
    confusion = evaluation.confusion
    return {
        "overall": _scores(evaluation.overall),
        "classes": {name: _scores(scores) for name, scores in evaluation.classes.items()},
        "confusion": {
            "classes": list(evaluation.classes),
            "table": confusion.table.tolist(),
            "missed": confusion.missed.tolist(),
            "spurious": confusion.spurious.tolist(),
        },
        "iou_threshold": evaluation.rules.iou_threshold,
        "line_tolerance_m": evaluation.rules.line_tolerance_m,
        "point_tolerance_m": evaluation.rules.point_tolerance_m,
        "tiles": evaluation.tiles,
        "failed_tiles": evaluation.failed_tiles,
        "blocks": evaluation.blocks,
    }


def _scores(scores: Scores) -> dict[str, Any]:
    unit = _SIZE_UNITS.get(scores.geometry_type or "")
    return {
        **({"geometry_type": scores.geometry_type} if scores.geometry_type else {}),
        "tp": scores.tp,
        "fp": scores.fp,
        "fn": scores.fn,
        **dict.fromkeys(ALWAYS),
        **_figures(scores.figures),
        "missed_in_failed_tiles": scores.missed_in_failed_tiles,
        "by_score": [{"score": each.low, **_band(each)} for each in scores.by_score],
        "by_size": [
            {"size": each.name, "above": each.low, "up_to": each.high, "unit": unit, **_band(each)}
            for each in scores.by_size
        ],
    }


def _band(band: Band) -> dict[str, Any]:
    return {"tp": band.tp, "fp": band.fp, "fn": band.fn, **_figures(band.figures)}


def _figures(figures: Mapping[str, Metric]) -> dict[str, Any]:
    """Values by name; what each rests on and its interval beside them."""
    return {
        **{name: metric.value for name, metric in figures.items()},
        "n": {name: metric.scored for name, metric in figures.items()},
        "intervals": {
            name: None if metric.low is None else [metric.low, metric.high] for name, metric in figures.items()
        },
        "blocks": {name: metric.blocks for name, metric in figures.items() if metric.blocks is not None},
        "no_interval": {name: metric.reason for name, metric in figures.items() if metric.reason},
    }


def as_text(evaluation: Evaluation) -> Iterator[str]:
    """A line a class, one over all, and one that says what they rest on."""
    rows: list[tuple[str, ...]] = [_COLUMNS]
    for name, scores in [*evaluation.classes.items(), ("over all", evaluation.overall)]:
        counts = (scores.tp + scores.fn, scores.tp, scores.fn, scores.fp)
        rates = (_rate(scores.figures[each]) for each in ("precision", "recall", "f1"))
        rows.append((name, *(f"{each:,}" for each in counts), *rates))
    widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
    for name, *cells in rows:
        padded = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([name.ljust(widths[0]), *padded])
    more = [f"{name} {_rate(metric)}" for name, metric in evaluation.overall.figures.items() if name in _EXTRA]
    if more:
        yield "Over all: " + ", ".join(more) + "."
    rests = f"{evaluation.tiles:,} tiles" if evaluation.tiles != 1 else "1 tile"
    failed = f", {evaluation.failed_tiles:,} of them without a usable answer" if evaluation.failed_tiles else ""
    yield (
        f"Polygons match at IoU {evaluation.rules.iou_threshold:g}. {intervals_text(evaluation)}, over {rests}{failed}."
    )


def intervals_text(evaluation: Evaluation) -> str:
    """How the intervals were made, or why there are none: `Intervals: 95 %, by 12 blocks`."""
    if reason := reason_for_none(evaluation.blocks):
        return f"No intervals: {reason}"
    return f"Intervals: 95 %, by {evaluation.blocks:,} blocks"


_EXTRA = ("mean_iou", "ap50", "ap", "completeness", "correctness", "quality")


def _rate(metric: Metric) -> str:
    if metric.value is None:
        return "–"
    interval = "" if metric.low is None else f" ({metric.low:.2f} to {metric.high:.2f})"
    return f"{metric.value:.3f}{interval}"
