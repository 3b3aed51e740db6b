"""The plots of a comparison: plain values of `maploop.compare` in, figures out."""

from collections.abc import Sequence
from typing import Final

from maploop.compare.money import Economy
from maploop.compare.reliability import Reliability, Threshold
from maploop.compare.rounds import Round
from maploop.compare.sidebyside import FIGURE_NAMES, Comparison
from maploop.evaluate.metrics import Band, Scores
from maploop.quality.statistics import Metric
from maploop.report.drawing import Figure
from maploop.report.plots import At, Axis, Row, Series, over_axes, percent, short, value_rows

ALL: Final = "over all"
RATES: Final = ("f1", "precision", "recall")
# Figures that lie between 0 and 1, so that all of them share an axis.
SHARES: Final = (
    *RATES, "mean_iou", "ap50", "ap", "completeness", "correctness", "quality",
)  # fmt: skip
_UNITS = {"polygon": "m²", "line": "m"}
_SMALL: Final = 250.0  # pixels: a plot of which four stand in a row


def figure_name(figure: str) -> str:
    """What a figure is called: `F1`."""
    return FIGURE_NAMES.get(figure, figure)


def number(value: float) -> str:
    """To two decimals, with a real minus."""
    return f"{value:.2f}".replace("-", "−")


def signed(value: float) -> str:
    """To one or two decimals with its sign; 0 without."""
    return "0" if abs(value) < 1e-9 else f"{value:+.2g}".replace("-", "−")


def scored_classes(comparison: Comparison, figure: str) -> list[str | None]:
    """Over all (None) and the classes for which any model has the figure."""
    names: tuple[str | None, ...] = (None, *comparison.classes)
    return [
        name
        for name in names
        if any(each.figure(figure, name).value is not None for each in comparison.contenders)
    ]  # fmt: skip


def quality_by_class(comparison: Comparison, figure: str = "f1") -> Figure:
    """One figure of every model, over all and by class, with intervals."""
    rows = [
        Row(name or ALL, series, metric.value, metric.low, metric.high, _says(contender.name, name, metric))
        for name in scored_classes(comparison, figure)
        for series, contender in enumerate(comparison.contenders)
        if (metric := contender.figure(figure, name)).value is not None
    ]
    axis = Axis(f"{figure_name(figure)}, with 95 % intervals", _tenths, *_bounds(figure))
    return value_rows(rows, comparison.names, axis, f"{figure_name(figure)} by class and model")


def differences_by_class(comparison: Comparison, first: str, figure: str = "f1") -> Figure:
    """By how much each other model is better than the first, over all and by class; right of the line it is."""
    others = [(place, name) for place, name in enumerate(comparison.names) if name != first]
    rows = []
    for name in scored_classes(comparison, figure):
        for place, other in others:
            found = comparison.difference(first, other, figure, name)
            if found.value is not None:
                says = f"{other}, {name or ALL}: {found.text()}"
                rows.append(Row(name or ALL, place, found.value, found.low, found.high, says))
    names = [name for _, name in others]
    axis = Axis(f"difference in {figure_name(figure)} to {first}, with 95 % intervals", signed)
    says = f"Differences in {figure_name(figure)} to {first}"
    return value_rows(rows, names, axis, says, line_at=0.0, places=[place for place, _ in others])


def by_score(comparison: Comparison, class_name: str | None, figure: str = "f1") -> Figure | None:
    """A rate if only predictions with at least each score had been made; None when no model has scores."""
    lines = [
        Series(
            contender.name,
            place,
            tuple(
                At(
                    band.low or 0.0,
                    metric.value,
                    metric.low,
                    metric.high,
                    says=_says(contender.name, class_name, metric),
                )
                for band in bands
                if (metric := band.figures[figure]).value is not None
            ),
            banded=True,
            marked=False,
        )
        for place, contender in enumerate(comparison.contenders)
        if (bands := _scores(comparison, place, class_name).by_score)
    ]
    if not lines:
        return None
    says = f"{figure_name(figure)} by score threshold, {class_name or ALL}"
    return over_axes(
        lines,
        Axis("predictions with at least this score", _tenths, 0, 1),
        Axis(figure_name(figure), _tenths, 0, 1),
        says,
    )


def by_size(comparison: Comparison, class_name: str, figure: str = "f1") -> Figure | None:
    """A rate for small, medium and large objects of a class; None when they are all of a size."""
    rows = []
    for place, contender in enumerate(comparison.contenders):
        for band in _scores(comparison, place, class_name).by_size:
            metric = band.figures[figure]
            if metric.value is not None:
                label = size_name(band, comparison.classes[class_name])
                rows.append(
                    Row(label, place, metric.value, metric.low, metric.high, _says(contender.name, label, metric))
                )
    if not rows:
        return None
    order = {label: place for place, label in enumerate(dict.fromkeys(row.label for row in rows))}
    rows.sort(key=lambda row: order[row.label])
    axis = Axis(f"{figure_name(figure)} of {class_name} by size, with 95 % intervals", _tenths, 0, 1)
    return value_rows(rows, comparison.names, axis, f"{figure_name(figure)} of {class_name} by size")


def size_name(band: Band, geometry_type: str) -> str:
    """`medium, 40–95 m²`."""
    unit = _UNITS.get(geometry_type, "")
    if band.low is None:
        return f"{band.name}, to {band.high:,.0f} {unit}"
    if band.high is None:
        return f"{band.name}, over {band.low:,.0f} {unit}"
    return f"{band.name}, {band.low:,.0f}–{band.high:,.0f} {unit}"


def quality_and_cost(economy: Economy) -> Figure | None:
    """Quality against what the model costs at the volume, with the frontier drawn; None when no cost is known."""
    name, volume = figure_name(economy.assumptions.figure), economy.assumptions.volume
    places = {
        row.model: At(
            row.outlay_per_1000,
            row.quality.value,
            row.quality.low,
            row.quality.high,
            row.model,
            f"{row.model}: {name} {row.quality.text(percent=False)}, {row.outlay_per_1000:,.2f} USD for 1,000 tiles",
        )
        for row in economy.rows
        if row.outlay_per_1000 is not None and row.quality.value is not None
    }
    if not places:
        return None
    order = [row.model for row in economy.rows]
    frontier = sorted(
        (places[row.model] for row in economy.rows if row.on_frontier and row.model in places), key=lambda at: at.x
    )
    bare = tuple(At(each.x, each.y) for each in frontier)
    lines = [Series("", -1, bare, marked=False, dashed=True)] if len(bare) > 1 else []
    dots = [Series("", order.index(model), (at,), joined=False) for model, at in places.items()]
    return over_axes(
        [*lines, *dots],
        Axis(f"USD for 1,000 tiles, training spread over {volume:,}", short, 0),
        Axis(name, _tenths, 0, 1 if economy.assumptions.figure in SHARES else None),
        f"{name} against cost at {volume:,} tiles, with the frontier",
    )


def reliability_plot(found: Reliability, wanted: float | None = None) -> Figure:
    """What scores promise against what people found right; on the dashed line a score is worth its number."""
    of = found.class_name or ALL
    at = tuple(
        At(each.mean_score, each.right.value, each.right.low, each.right.high, says=f"{of}: {each.right.text()}")
        for each in found.bins
        if each.mean_score is not None and each.right.value is not None
    )
    lines = [Series("", 0, at)]
    if wanted is not None:
        lines.append(Series("", -1, (At(0, wanted), At(1, wanted)), marked=False, dashed=True))
    return over_axes(
        lines,
        Axis("score of the model", _tenths, 0, 1),
        Axis("accepted unchanged by people", percent, 0, 1),
        f"Reliability of scores, {of}",
        diagonal=True,
    )


def threshold_plot(found: Threshold) -> Figure:
    """Precision above every score that was looked at, its lower bound, and the precision wanted."""
    precision = tuple(
        At(look.score, look.precision.value, says=f"from {look.score:.2f}: {look.precision.text()}")
        for look in found.looks
        if look.precision.value is not None
    )
    lower = tuple(
        At(look.score, look.lower, says=f"from {look.score:.2f}: at least {100 * look.lower:.1f} %")
        for look in found.looks
    )
    lines = [
        Series("precision", 0, precision),
        Series("lower bound", 1, lower),
        Series("", -1, (At(0, found.wanted), At(1, found.wanted)), marked=False, dashed=True),
    ]
    return over_axes(
        lines,
        Axis("accepted from this score on", _tenths, 0, 1),
        Axis("right", percent, None, 1),
        f"Precision of {found.class_name} by score, wanted {100 * found.wanted:.1f} %",
    )


def round_plots(rounds: Sequence[Round]) -> list[Figure]:
    """Quality, seconds a tile, corrections a tile and the share accepted unchanged, round by round."""
    wanted = (
        ("F1 on the test split", [each.quality for each in rounds], _tenths, 1.0),
        ("seconds of review a tile", [each.seconds_a_tile for each in rounds], short, None),
        ("corrections a tile", [each.corrections_a_tile for each in rounds], short, None),
        ("accepted unchanged", [each.unchanged for each in rounds], percent, 1.0),
    )
    figures = []
    for title, metrics, form, top in wanted:
        at = tuple(
            At(
                each.number,
                metric.value,
                metric.low,
                metric.high,
                says=f"round {each.number}, {each.model}: {title} {metric.value:.2f}",
            )
            for each, metric in zip(rounds, metrics, strict=True)
            if metric is not None and metric.value is not None
        )
        if at:
            axis = Axis("round", short, 1, max(each.number for each in rounds), whole=True)
            figures.append(
                over_axes(
                    [Series("", 0, at)], axis, Axis(title, form, 0, top), f"{title}, by round", height=150, width=_SMALL
                )
            )
    return figures


def _scores(comparison: Comparison, place: int, class_name: str | None) -> Scores:
    evaluation = comparison.contenders[place].evaluation
    return evaluation.overall if class_name is None else evaluation.classes[class_name]


def _bounds(figure: str) -> tuple[float | None, float | None]:
    return (0.0, 1.0) if figure in SHARES else (None, None)


def _tenths(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 10 else f"{value:,.0f}"


def _says(model: str, what: str | None, metric: Metric) -> str:
    return f"{model}, {what or ALL}: {metric.text(percent=False)}"
