"""The tables of a comparison: plain values of `maploop.compare` in, rows of text out; figures say what they rest on."""

from collections.abc import Sequence

from maploop.compare.money import Economy
from maploop.compare.rounds import Round
from maploop.compare.sidebyside import FIGURE_NAMES, Comparison, Contender, Difference
from maploop.compare.wording import fixed
from maploop.evaluate.metrics import Band, Scores
from maploop.quality.statistics import Metric
from maploop.report.charts import ALL, RATES, figure_name, size_name
from maploop.report.document import Table

NONE = "–"
MAYBE = " ?"
FAILURES_MEAN = (
    "Refused and malformed answers count as if nothing had been found on their tiles. Tiles that a model was not asked "
    "about, without pixels or refused by licence are no answers: they are left out of its figures."
)
MAYBE_MEANS = "A question mark: the interval holds 0, so the difference may be chance."
_RATE_NAMES = tuple(figure_name(each) for each in RATES)


def figures_table(comparison: Comparison) -> Table:
    """A row for each class and model: counts, and all figures that any class has."""
    names: tuple[str | None, ...] = (None, *comparison.classes)
    shown = [
        figure
        for figure in FIGURE_NAMES
        if any(each.figure(figure, name).value is not None for each in comparison.contenders for name in names)
    ]
    rows = [
        (
            name or ALL,
            contender.name,
            *_counts(scores_of(contender, name)),
            *(figure_text(contender.figure(each, name)) for each in shown),
        )
        for name in names
        for contender in comparison.contenders
    ]
    head = ("class", "model", "true", "found", "missed", "false", *(figure_name(each) for each in shown))
    return Table(head, tuple(rows), texts=2, strong=frozenset(range(len(comparison.contenders))))


def differences_table(comparison: Comparison) -> Table:
    """Every figure of each other model minus the first's; what may be chance is marked."""
    first, others = comparison.names[0], comparison.names[1:]
    found = {
        (each.class_name, other, each.figure): each
        for other in others
        for each in comparison.differences(first, other)
    }  # fmt: skip
    figures = [figure for figure in FIGURE_NAMES if any(key[2] == figure for key in found)]
    rows = [
        (name or ALL, other, *(_difference(found.get((name, other, figure))) for figure in figures))
        for name in (None, *comparison.classes)
        for other in others
    ]
    head = ("class", f"against {first}", *(figure_name(each) for each in figures))
    return Table(head, tuple(rows), texts=2, strong=frozenset(range(len(others))))


def confusion_table(comparison: Comparison, contender: Contender) -> Table:
    """What was taken for what: a row for each true class, a column for each predicted one."""
    confusion, names = contender.evaluation.confusion, list(comparison.classes)
    rows = [
        (name, *(f"{int(count):,}" for count in confusion.table[place]), f"{int(confusion.missed[place]):,}")
        for place, name in enumerate(names)
    ]
    rows.append(("nothing there", *(f"{int(count):,}" for count in confusion.spurious), ""))
    head = ("true class", *(f"taken for {name}" for name in names), "missed")
    return Table(head, tuple(rows))


def failures_table(comparison: Comparison) -> Table | None:
    """Finished tiles by what each model did there, and what was missed where it failed; None when all answered all.

    Tiles that a model could not be asked about are no answers: they are left out of its figures.
    """
    kinds = sorted({kind for each in comparison.contenders for kind in each.failures})
    if all(each.answers.answered == each.answers.tiles for each in comparison.contenders):
        return None
    rows = [
        (
            each.name,
            f"{each.answers.answered:,}",
            *(f"{each.failures.get(kind, 0):,}" for kind in kinds),
            f"{each.answers.not_asked:,}",
            f"{each.answers.no_pixels:,}",
            f"{each.answers.licence_refused:,}",
            f"{each.evaluation.overall.missed_in_failed_tiles:,}",
        )
        for each in comparison.contenders
    ]
    head = (
        "model", "tiles answered", *(f"tiles {kind}" for kind in kinds), "not asked", "without pixels",
        "refused by licence", "missed on failed tiles",
    )  # fmt: skip
    return Table(head, tuple(rows))


def size_table(comparison: Comparison, class_name: str) -> Table | None:
    """Results by the size of the objects of a class."""
    rows = [
        (size_name(band, comparison.classes[class_name]), each.name, *_band(band))
        for each in comparison.contenders
        for band in scores_of(each, class_name).by_size
    ]
    order = {name: place for place, name in enumerate(dict.fromkeys(row[0] for row in rows))}
    rows.sort(key=lambda row: order[row[0]])
    head = ("size", "model", "found", "missed", "false", *_RATE_NAMES)
    return Table(head, tuple(rows), texts=2) if rows else None


def score_table(comparison: Comparison, class_name: str | None) -> Table | None:
    """Results if only predictions with at least each score had been made."""
    rows = [
        (f"{band.low or 0:.2f}", each.name, *_band(band))
        for each in comparison.contenders
        for band in scores_of(each, class_name).by_score
    ]
    rows.sort(key=lambda row: row[0])
    head = ("score from", "model", "found", "missed", "false", *_RATE_NAMES)
    return Table(head, tuple(rows), texts=2, folded=True) if rows else None


def money_table(economy: Economy) -> Table:
    """What each model costs under the assumptions, in USD, hours and seconds."""
    figure = figure_name(economy.assumptions.figure)
    head = (
        "model", figure, "USD / 1,000 tiles", "USD / km²", "seconds / 1,000 tiles", "seconds / km²", "training, USD",
        "review h / 1,000 tiles", "review h / km²", "hours saved / 1,000 tiles",
        "model and training, USD / 1,000 tiles", "model and people, USD / 1,000 tiles",
        f"all for {economy.assumptions.volume:,} tiles, USD", "on the frontier",
    )  # fmt: skip
    all_rows = (*economy.rows, *([economy.by_hand] if economy.by_hand else []))
    rows = tuple(
        (
            row.model,
            row.quality.text(percent=False),
            amount(row.model_per_1000),
            amount(row.model_per_km2),
            amount(row.seconds_per_1000),
            amount(row.seconds_per_km2),
            amount(row.training),
            spread(row.review_hours_per_1000),
            spread(row.review_hours_per_km2),
            spread(row.hours_saved_per_1000),
            amount(row.outlay_per_1000),
            amount(None if row.per_tile is None else row.per_tile * 1000),
            spread(row.total),
            "yes" if row.on_frontier else "no",
        )
        for row in all_rows
    )
    strong = frozenset(place for place, row in enumerate(all_rows) if row.model == economy.run)
    return Table(head, rows, strong=strong)


def scores_of(contender: Contender, class_name: str | None) -> Scores:
    """The scores of a class, or over all."""
    return contender.evaluation.overall if class_name is None else contender.evaluation.classes[class_name]


def figure_text(metric: Metric) -> str:
    """A figure between 0 and 1, or in metres, with interval and n."""
    return metric.text(percent=False)


def amount(value: float | None) -> str:
    """A sum of money, time or work, as exactly as it matters."""
    if value is None:
        return NONE
    if 0.0005 <= abs(value) < 0.1:
        return f"{value:.2g}"
    return fixed(value, 0 if abs(value) >= 100 else 2)


def share(value: float) -> str:
    """A part of a whole: `98.0 %`."""
    return f"{100 * value:.1f} %"


def spread(metric: Metric) -> str:
    """A sum with its interval."""
    if metric.value is None:
        return NONE
    if metric.reason:
        return f"{amount(metric.value)} (no interval: {metric.reason})"
    if metric.low is None or metric.high is None or metric.low == metric.high:
        return amount(metric.value)
    return f"{amount(metric.value)} ({amount(metric.low)} to {amount(metric.high)})"


def _counts(scores: Scores) -> tuple[str, ...]:
    return tuple(f"{each:,}" for each in (scores.tp + scores.fn, scores.tp, scores.fn, scores.fp))


def _band(band: Band) -> tuple[str, ...]:
    counts = (f"{band.tp:,}", f"{band.fn:,}", f"{band.fp:,}")
    return (*counts, *(figure_text(band.figures[each]) for each in RATES))


def _difference(found: Difference | None) -> str:
    if found is None or found.value is None:
        return NONE
    if found.low is None or found.high is None:
        return _signed(found.value)
    chance = "" if found.is_certain else MAYBE
    return f"{_signed(found.value)} ({_signed(found.low)} to {_signed(found.high)}){chance}"


def _signed(value: float) -> str:
    return fixed(value, 2, signed=True).replace("-", "−")


def as_records(table: Table) -> Sequence[dict[str, str]]:
    """Rows by the names of their columns."""
    return [dict(zip(table.head, row, strict=True)) for row in table.rows]


def rounds_table(rounds: Sequence[Round]) -> Table:
    """A row a round."""
    head = (
        "round",
        "model",
        "from",
        "tiles",
        "F1 on the test split",
        "seconds a tile",
        "corrections a tile",
        "unchanged",
    )
    rows = tuple(
        (
            str(each.number),
            each.model,
            each.parent or "",
            f"{each.tiles:,}",
            NONE if each.quality is None else figure_text(each.quality),
            spread(each.seconds_a_tile),
            spread(each.corrections_a_tile),
            each.unchanged.text(),
        )
        for each in rounds
    )
    return Table(head, rows, texts=3)
