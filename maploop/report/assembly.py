"""What goes into a report: a comparison with its money and pictures, as a document."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from maploop.compare.money import Economy
from maploop.compare.sidebyside import Comparison
from maploop.quality.intervals import reason_for_none
from maploop.report.charts import (
    ALL,
    by_score,
    by_size,
    differences_by_class,
    quality_and_cost,
    quality_by_class,
)
from maploop.report.document import Document, Gallery, Picture, Section, Table
from maploop.report.outlines import MEANS, STROKES
from maploop.report.pictures import Card
from maploop.report.tables import (
    FAILURES_MEAN,
    MAYBE_MEANS,
    confusion_table,
    differences_table,
    failures_table,
    figures_table,
    money_table,
    score_table,
    size_table,
)

_COLOURS = {"true": "blue, solid", "false": "orange, dashed", "missed": "yellow, dotted"}


def document_of(
    comparison: Comparison, economy: Economy, cards: Sequence[Card], evaluation_ids: Sequence[int], split_use: str
) -> Document:
    """The whole report; the same values make the same document."""
    tiles = f"{len(comparison.tiles):,} tiles" if len(comparison.tiles) != 1 else "1 tile"
    return Document(
        title=f"{listed(comparison.names)} on {tiles} of {comparison.project}",
        verdict=economy.verdict,
        facts=tuple(_facts(comparison, evaluation_ids, split_use)),
        sections=tuple(_sections(comparison, economy, cards)),
    )


def _sections(comparison: Comparison, economy: Economy, cards: Sequence[Card]) -> Iterator[Section]:
    first, others = comparison.names[0], comparison.names[1:]
    figure = economy.assumptions.figure
    yield Section(
        "Quality",
        paragraphs=tuple(f"{other} against {first}: {comparison.difference(first, other).text()}." for other in others),
        plots=(
            quality_by_class(comparison, figure),
            *([differences_by_class(comparison, first, figure)] if others else []),
        ),
        tables=(figures_table(comparison),),
    )
    failures = failures_table(comparison)
    if failures is not None:
        yield Section("Tiles by answer", paragraphs=(FAILURES_MEAN,), tables=(failures,))
    if others:
        yield Section("Differences", paragraphs=(MAYBE_MEANS,), tables=(differences_table(comparison),))
    yield Section("What was taken for what", tables=tuple(_titled(comparison, name) for name in comparison.names))
    yield _by_size(comparison)
    yield _by_score(comparison)
    yield _money(economy)
    if cards:
        yield _tiles(cards)


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _titled(comparison: Comparison, name: str) -> Table:
    return replace(confusion_table(comparison, comparison.contender(name)), title=name)


def _by_size(comparison: Comparison) -> Section:
    plots = [plot for name in comparison.classes if (plot := by_size(comparison, name)) is not None]
    tables = [
        replace(table, title=name) for name in comparison.classes if (table := size_table(comparison, name)) is not None
    ]
    nothing = () if plots else ("The objects of each class are all of a size.",)
    return Section("By object size", paragraphs=nothing, plots=tuple(plots), tables=tuple(tables))


def _by_score(comparison: Comparison) -> Section:
    plot, table = by_score(comparison, None), score_table(comparison, None)
    if plot is None or table is None:
        return Section("By score threshold", paragraphs=("None of these models gives scores.",))
    return Section("By score threshold", paragraphs=(f"{ALL.capitalize()}.",), plots=(plot,), tables=(table,))


def _money(economy: Economy) -> Section:
    chart = quality_and_cost(economy)
    return Section(
        "Money",
        paragraphs=tuple(dict.fromkeys(each.text for each in (*economy.break_evens, *economy.against_hand))),
        plots=(chart,) if chart is not None else (),
        tables=(money_table(economy),),
        points=economy.notes,
    )


def _tiles(cards: Sequence[Card]) -> Section:
    key = "; ".join(f"{_COLOURS[standing]}: {MEANS[standing]}" for standing in STROKES)
    return Section(
        "Tiles that went worst",
        paragraphs=(f"{key.capitalize()}.",),
        galleries=tuple(
            Gallery(
                f"Tile {card.tile}",
                tuple(Picture(shot.image, f"{shot.model}: {shot.text()}") for shot in card.shots),
            )
            for card in cards
        ),
    )


def _facts(comparison: Comparison, evaluation_ids: Sequence[int], split_use: str) -> Iterator[tuple[str, str]]:
    yield "Project", comparison.project
    where = f"finished tiles of the {comparison.split} split" if comparison.split else "tiles that were chosen"
    yield "Tiles", f"{len(comparison.tiles):,} {where}, {comparison.km2:,.3g} km²"
    if split_use:
        yield "Test split", split_use
    rules = comparison.rules
    yield (
        "Matching",
        f"one to one, best score first; polygons at IoU {rules.iou_threshold:g}, lines within "
        f"{rules.line_tolerance_m:g} m, points within {rules.point_tolerance_m:g} m",
    )
    evaluation = comparison.contenders[0].evaluation
    reason = reason_for_none(evaluation.blocks)
    yield "Intervals", f"none: {reason}" if reason else f"95 %, by {evaluation.blocks:,} split blocks"
    if evaluation_ids:
        yield "Evaluations", ", ".join(map(str, evaluation_ids))
    for each in comparison.contenders:
        runs = f"run {each.runs[0]}" if len(each.runs) == 1 else f"runs {', '.join(map(str, each.runs))}"
        told = [each.backend, each.identifier, runs]
        told += [f"prompt {hash[:12]}" for hash in each.prompt_hashes]
        told += [f"from {each.parent}"] if each.parent else []
        told += [f"dataset {each.dataset_id[:12]}"] if each.dataset_id else []
        yield each.name, ", ".join(part for part in told if part)
