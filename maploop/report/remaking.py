"""A report from what it rests on: the comparison at hand, or the ids of evaluations that were kept."""

from collections.abc import Sequence

import orjson
from sqlalchemy import Connection

from maploop.compare.evaluations import EvaluationView, list_evaluations, record_comparison
from maploop.compare.marks import TileMarks, worst_tiles
from maploop.compare.money import Economy
from maploop.compare.sidebyside import Comparison, Contender, compare_models
from maploop.errors import ConflictError, InputError, NotFoundError
from maploop.evaluate.matching import Rules
from maploop.evaluate.report import as_json
from maploop.imagery.tilemath import parse_tile
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


def kept_ids(connection: Connection, project: ProjectView, annotator_id: int, comparison: Comparison) -> list[int]:
    """The ids under which a comparison's evaluations are kept, in its order; needs a write transaction.

    They are kept now, unless the newest of these models and runs say the same: opening a page again is no new look.
    """
    listed = list_evaluations(connection, project)
    found = [next((view for view in listed if _is_of(view, each)), None) for each in comparison.contenders]
    known = [view for view in found if view is not None]
    pairs = zip(known, comparison.contenders, strict=False)
    if len(known) == len(found) and all(_says(view, comparison, each) for view, each in pairs):
        return [view.id for view in known]
    return record_comparison(connection, project, annotator_id, comparison)


def remade(connection: Connection, project: ProjectView, evaluation_ids: Sequence[int]) -> Comparison:
    """The comparison of evaluations that were kept, by their rules and on their tiles.

    Raises NotFoundError, InputError when they do not belong together, ConflictError when it would come out differently
    now: annotations or predictions have changed since.
    """
    by_id = {each.id: each for each in list_evaluations(connection, project)}
    for wanted in evaluation_ids:
        if wanted not in by_id:
            msg = f"There is no evaluation {wanted} of {project.name!r}: `maploop compare --json` tells the ids."
            raise NotFoundError(msg)
    kept = [by_id[each] for each in evaluation_ids]
    if not kept or len({(each.split, tuple(each.basis.get("chosen_tiles", ()))) for each in kept}) > 1:
        listed = ", ".join(map(str, evaluation_ids))
        msg = f"Evaluations {listed} are not of one comparison: name such as are of the same tiles."
        raise InputError(msg)
    told = kept[0].result
    comparison = compare_models(
        connection,
        project,
        [each.basis.get("name", each.model) for each in kept],
        split=kept[0].split or "test",
        tiles=[parse_tile(each) for each in kept[0].basis.get("chosen_tiles", ())],
        cuts={
            each.basis.get("name", each.model): each.basis["score_cut"] for each in kept if "score_cut" in each.basis
        },
        rules=Rules(told["iou_threshold"], told["line_tolerance_m"], told["point_tolerance_m"]),
    )
    for view, contender in zip(kept, comparison.contenders, strict=True):
        if not _says(view, comparison, contender):
            msg = (
                f"Evaluation {view.id} of {view.model!r} would come out differently now, as annotations or predictions "
                f"have changed since: compare again."
            )
            raise ConflictError(msg)
    return comparison


def _is_of(view: EvaluationView, contender: Contender) -> bool:
    """Whether a kept evaluation is of the same model, named in the same way, and of the same runs."""
    named = view.basis.get("name", view.model) == contender.name
    named = named and view.basis.get("score_cut") == contender.score_cut
    return named and view.model == contender.model_name and view.basis["runs"] == list(contender.runs)


def _says(view: EvaluationView, comparison: Comparison, contender: Contender) -> bool:
    """Whether a kept evaluation says what a comparison found."""
    tiles = [] if comparison.split else [str(tile) for tile in comparison.tiles]
    return (
        view.split == comparison.split
        and view.basis.get("chosen_tiles", []) == tiles
        and view.basis["runs"] == list(contender.runs)
        and view.basis.get("score_cut") == contender.score_cut
        and view.result == orjson.loads(orjson.dumps(as_json(contender.evaluation)))
    )


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
