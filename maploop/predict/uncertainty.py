"""How little the models know of a tile: what orders the queue when the most uncertain comes first."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, case, func, select

from db.bulk import update_rows
from db.conditions import undecided
from db.models import Feature, Prediction, Run, RunTile, Tile, TileFeature

UNSCORED: Final = 0.5
DISAGREED: Final = 1.0


def refresh_uncertainty(
    connection: Connection, project_id: int, tile_ids: Sequence[int], run_id: int | None = None
) -> None:
    """Set each tile's uncertainty: the mean over its undecided features of 1 - |2 score - 1|, unscored ones 0.5.

    On tiles that several runs answered for, the newest two are held against each other. What only one of them found
    counts 1, also when it is not shown any more as the newer run did not find it; what both found and neither scored
    counts 0. A tile with nothing undecided is not uncertain: 0. `run_id`: a run that answers for these tiles just now.

    Files of one model are parts of one run.
    """
    if not tile_ids:
        return
    part_of = _part_of(connection, project_id)
    means = (
        _by_two_runs(connection, project_id, tile_ids, run_id, part_of)
        if len(set(part_of.values())) > 1
        else _by_score(connection, project_id, tile_ids)
    )
    update_rows(connection, Tile, tile_ids, {"uncertainty": [means.get(each, 0.0) for each in tile_ids]})


def _by_score(connection: Connection, project_id: int, tile_ids: Sequence[int]) -> Mapping[int, float]:
    of_one = case((Prediction.score.is_(None), UNSCORED), else_=1 - func.abs(2 * Prediction.score - 1))
    rows = connection.execute(
        select(TileFeature.tile_id, func.avg(of_one))
        .join(Feature, Feature.id == TileFeature.feature_id)
        .join(Prediction, Prediction.id == Feature.prediction_id)
        .where(*_on(project_id, tile_ids), undecided())
        .group_by(TileFeature.tile_id)
    )
    return dict(rows.all())


def _by_two_runs(
    connection: Connection,
    project_id: int,
    tile_ids: Sequence[int],
    run_id: int | None,
    part_of: Mapping[int, int],
) -> Mapping[int, float]:
    found_by, answered = _found_by(connection, project_id, tile_ids, part_of)
    for tile, run in connection.execute(
        select(RunTile.tile_id, RunTile.run_id).where(
            RunTile.tile_id.between(min(tile_ids), max(tile_ids)), RunTile.status == "ok"
        )
    ):
        answered[tile].add(run)
    if run_id is not None:
        for tile in tile_ids:
            answered[tile].add(part_of[run_id])
    newest = {tile: frozenset(sorted(runs)[-2:]) for tile, runs in answered.items()}
    doubts: dict[int, list[float]] = defaultdict(list)
    shown: set[int] = set()
    for tile, feature, score, withdrawn in connection.execute(
        select(TileFeature.tile_id, Feature.id, Prediction.score, Feature.withdrawn)
        .join(Feature, Feature.id == TileFeature.feature_id)
        .join(Prediction, Prediction.id == Feature.prediction_id)
        .where(*_on(project_id, tile_ids), Feature.verdict.is_(None))
    ):
        runs = newest.get(tile, frozenset())  # none where all that looked at the tile were taken back
        doubt = _doubt(score, len(runs & found_by[feature]) if len(runs) > 1 else None, withdrawn=withdrawn)
        if doubt is not None:
            doubts[tile].append(doubt)
        if not withdrawn:
            shown.add(tile)
    return {tile: sum(each) / len(each) for tile, each in doubts.items() if tile in shown}


def _doubt(score: float | None, votes: int | None, *, withdrawn: bool) -> float | None:
    """How uncertain a feature is, None when it does not count; `votes`: of two runs, None where there is only one."""
    if votes == 1:
        return DISAGREED
    if withdrawn:
        return None
    if score is None:
        return 0.0 if votes == 2 else UNSCORED
    return 1 - abs(2 * score - 1)


def _part_of(connection: Connection, project_id: int) -> Mapping[int, int]:
    """Run -> itself; of files of one model, the newest; without those that were taken back."""
    newest: dict[int, int] = {}
    runs = connection.execute(
        select(Run.id, Run.model_id, Run.source)
        .where(Run.project_id == project_id, Run.withdrawn_at.is_(None))
        .order_by(Run.id)
    ).all()
    for run, model, source in runs:
        if source:
            newest[model] = run
    return {run: newest[model] if source else run for run, model, source in runs}


def _found_by(
    connection: Connection, project_id: int, tile_ids: Sequence[int], part_of: Mapping[int, int]
) -> tuple[Mapping[int, set[int]], dict[int, set[int]]]:
    """Undecided feature -> the runs that found it; tile -> runs that found something undecided there."""
    found_by: dict[int, set[int]] = defaultdict(set)
    answered: dict[int, set[int]] = defaultdict(set)
    for tile, feature, run in connection.execute(
        select(TileFeature.tile_id, Prediction.feature_id, Prediction.run_id)
        .join(Feature, Feature.id == TileFeature.feature_id)
        .join(Prediction, Prediction.feature_id == Feature.id)
        .where(*_on(project_id, tile_ids), Feature.verdict.is_(None))
    ):
        if run in part_of:
            found_by[feature].add(part_of[run])
            answered[tile].add(part_of[run])
    return found_by, answered


def _on(project_id: int, tile_ids: Sequence[int]) -> tuple[ColumnElement[bool], ...]:
    """Features of the project on these tiles, or on those between them."""
    return Feature.project_id == project_id, TileFeature.tile_id.between(min(tile_ids), max(tile_ids))
