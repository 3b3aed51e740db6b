"""A report from what it rests on: the comparison at hand, or the ids of evaluations that were kept."""

from collections.abc import Sequence

from sqlalchemy import Connection

from maploop.compare.evaluations import list_evaluations
from maploop.compare.marks import TileMarks, worst_tiles
from maploop.compare.money import Economy
from maploop.compare.sidebyside import Comparison
from maploop.project import ProjectView
from maploop.report.assembly import document_of
from maploop.report.document import Document
from maploop.report.pictures import cards_of

PICTURED = 8  # tiles


def report_of(
    connection: Connection,
    project: ProjectView,
    comparison: Comparison,
    economy: Economy,
    evaluation_ids: Sequence[int] = (),
) -> Document:
    """The report of a comparison; with the ids under which its evaluations are kept, they and the split's use are told.

    The same comparison, economy and ids make the same document, whatever was evaluated since.
    """
    cards = cards_of(connection, project, comparison, _worst(comparison), comparison.names)
    return document_of(comparison, economy, cards, evaluation_ids, _split_use(connection, project, evaluation_ids))


def _worst(comparison: Comparison) -> list[TileMarks]:
    """The worst tiles of each model in turn."""
    ranked = [worst_tiles(comparison, name, most=PICTURED) for name in comparison.names]
    turns = [tiles[place] for place in range(PICTURED) for tiles in ranked if place < len(tiles)]
    return list({each.tile: each for each in reversed(turns)}.values())[::-1][:PICTURED]


def _split_use(connection: Connection, project: ProjectView, evaluation_ids: Sequence[int]) -> str:
    """How often the test split had been used when the newest of these evaluations was made."""
    if not evaluation_ids:
        return ""
    kept = [
        each
        for each in list_evaluations(connection, project)
        if each.split == "test" and each.id <= max(evaluation_ids)
    ]  # fmt: skip
    choices = sum(each.purpose == "choose" for each in kept)
    return f"{len(kept):,} evaluations on it by then, {choices:,} of them to choose a model"
