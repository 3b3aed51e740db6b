"""A model's predictions against a project's annotations, on the finished tiles of a split."""

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import Connection, LargeBinary, select, type_coerce

from db.models import Feature, Model, Prediction, Run, RunTile, TileFeature
from db.models import Tile as TileRow
from maploop.dataset.selection import ANNOTATED, chosen
from maploop.dataset.split import Split
from maploop.errors import ConflictError, InputError, NotFoundError
from maploop.evaluate.layers import Indices, Layer, cut_layer
from maploop.evaluate.matching import Rules
from maploop.evaluate.metrics import Evaluation, evaluate
from maploop.imagery.tilemath import Tile
from maploop.project import ProjectView
from maploop.vectors.geometry import as_geometries, split_by_tiles

NO_RUN = -1


@dataclass(frozen=True)
class Ground:
    """The tiles that count, by place, with their row ids; parallel."""

    tiles: list[Tile]
    ids: Indices


@dataclass(frozen=True)
class Answers:
    """Which run answered for each tile (`NO_RUN`: none was asked), and whether it failed there."""

    run: Indices
    failed: NDArray[np.bool_]


def rules_of(
    project: ProjectView,
    iou_threshold: float | None = None,
    line_tolerance_m: float | None = None,
    point_tolerance_m: float | None = None,
) -> Rules:
    """The project's own rules but for those told. Raises InputError."""
    settings = project.settings
    return Rules(
        settings.iou_threshold if iou_threshold is None else iou_threshold,
        settings.line_tolerance_m if line_tolerance_m is None else line_tolerance_m,
        settings.point_tolerance_m if point_tolerance_m is None else point_tolerance_m,
    )


def evaluate_model(
    connection: Connection,
    project: ProjectView,
    model_name: str,
    rules: Rules,
    *,
    split: str = "test",
    run_id: int | None = None,
) -> tuple[Evaluation, dict[str, Any]]:
    """Hold what a model predicted against the annotations of a split -> the evaluation, and what it rests on.

    Tiles that are complete or approved, with nothing unsure on them, count; features are cut at them. The model's word
    on a tile is its newest run's, and on tiles that this one did not ask for, that of older runs which put the same
    question to the model; on tiles never asked for it is empty. With `run_id`, that run alone. A file of predictions is
    a run that was asked for every tile. Raises NotFoundError, InputError, ConflictError saying why there is nothing.
    """
    if split not in get_args(Split):
        msg = f"{split!r} is not a split: use {', '.join(get_args(Split))}."
        raise InputError(msg)
    ground = _ground(connection, project, split)
    runs = _runs(connection, project, model_name, run_id)
    answers = _answers(connection, runs, ground)
    asked = answers.run != NO_RUN
    evaluation = evaluate(
        _truth(connection, project, split, ground),
        _predictions(connection, project, ground, answers),
        project.geometry_types,
        len(ground.tiles),
        rules,
        failed=answers.failed,
    )
    return evaluation, {
        "project": project.name,
        "model": model_name,
        "split": split,
        "runs": np.unique(answers.run[asked]).tolist() or runs[:1],
        "tiles_not_asked": int((~asked).sum()),
    }


def _ground(connection: Connection, project: ProjectView, split: str) -> Ground:
    rows = connection.execute(
        select(TileRow.id, TileRow.x, TileRow.y)
        .where(chosen(project, "complete"), TileRow.split == split)
        .order_by(TileRow.x, TileRow.y)
    ).all()
    if not rows:
        msg = f"No tile of the {split} split of {project.name!r} is complete yet: review some, or import known truth."
        raise ConflictError(msg)
    return Ground([Tile(project.zoom, row.x, row.y) for row in rows], np.array([row.id for row in rows]))


def _runs(connection: Connection, project: ProjectView, model_name: str, run_id: int | None) -> list[int]:
    """Runs whose answers count, newest first. Raises NotFoundError."""
    wanted = " ".join(model_name.split())
    models = connection.execute(select(Model.name).where(Model.project_id == project.id).order_by(Model.id)).scalars()
    names = list(models)
    if wanted not in names:
        msg = f"There is no model {wanted!r} in {project.name!r}: {', '.join(map(repr, names)) or 'none yet'}."
        raise NotFoundError(msg)
    rows = connection.execute(
        select(Run.id, Run.prompt_hash, Run.tiles)
        .join(Model, Model.id == Run.model_id)
        .where(Run.project_id == project.id, Model.name == wanted)
        .order_by(Run.id.desc())
    ).all()
    if run_id is not None:
        rows = [row for row in rows if row.id == run_id]
    if not rows:
        what = "has not run yet" if run_id is None else f"has no run {run_id}"
        msg = f"{wanted!r} {what}: predict with it, or import its predictions."
        raise NotFoundError(msg)
    newest = rows[0]
    if not newest.tiles:  # a file
        return [newest.id]
    return [row.id for row in rows if row.tiles and row.prompt_hash == newest.prompt_hash]


def _answers(connection: Connection, runs: list[int], ground: Ground) -> Answers:
    run = np.full(len(ground.ids), NO_RUN, dtype=np.int64)
    failed = np.zeros(len(ground.ids), dtype=np.bool_)
    place_of = {tile_id: place for place, tile_id in enumerate(ground.ids.tolist())}
    by_tile = False
    for run_id in reversed(runs):  # newer ones take over
        told = connection.execute(select(RunTile.tile_id, RunTile.status).where(RunTile.run_id == run_id)).all()
        by_tile = by_tile or bool(told)
        for tile_id, status in told:
            place = place_of.get(tile_id)
            if place is not None and status != "pending":
                run[place], failed[place] = run_id, status == "failed"
    if not by_tile:
        run[:] = runs[0]
    return Answers(run, failed)


def _truth(connection: Connection, project: ProjectView, split: str, ground: Ground) -> Layer:
    on_ground = chosen(project, "complete") & (TileRow.split == split)
    features = (Feature.verdict.in_(ANNOTATED), Feature.withdrawn.is_(False))
    placed = connection.execute(
        select(TileFeature.tile_id, TileFeature.feature_id)
        .join(TileRow, TileRow.id == TileFeature.tile_id)
        .join(Feature, Feature.id == TileFeature.feature_id)
        .where(on_ground, *features)
        .order_by(TileFeature.feature_id, TileFeature.tile_id)
    ).all()
    pairs = np.array([tuple(row) for row in placed], dtype=np.int64).reshape(-1, 2)
    rows = connection.execute(
        select(Feature.id, Feature.class_id, type_coerce(Feature.geometry, LargeBinary).label("geometry"))
        .where(
            Feature.project_id == project.id,
            *features,
            Feature.id.in_(
                select(TileFeature.feature_id).join(TileRow, TileRow.id == TileFeature.tile_id).where(on_ground)
            ),
        )
        .order_by(Feature.id)
    ).all()
    ids = np.array([row.id for row in rows], dtype=np.int64)
    return cut_layer(
        as_geometries(shapely.from_wkb([row.geometry for row in rows])),
        _class_indices(project, [row.class_id for row in rows]),
        None,
        np.searchsorted(ids, pairs[:, 1]),
        _places(ground, pairs[:, 0]),
        ground.tiles,
    )


def _predictions(connection: Connection, project: ProjectView, ground: Ground, answers: Answers) -> Layer:
    """Each tile's predictions, of the run that answered for it."""
    rows = connection.execute(
        select(
            Prediction.run_id,
            Prediction.class_id,
            type_coerce(Prediction.geometry, LargeBinary).label("geometry"),
            Prediction.score,
        )
        .where(Prediction.run_id.in_(np.unique(answers.run).tolist()))
        .order_by(Prediction.id)
    ).all()
    geometries = as_geometries(shapely.from_wkb([row.geometry for row in rows]))
    run = np.array([row.run_id for row in rows], dtype=np.int64)
    split = split_by_tiles(geometries, project.zoom)
    keys = split.x << project.zoom | split.y
    known = np.array([tile.x << project.zoom | tile.y for tile in ground.tiles], dtype=np.int64)  # ascending
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    kept = (known[place] == keys) & (answers.run[place] == run[split.feature])
    return cut_layer(
        geometries,
        _class_indices(project, [row.class_id for row in rows]),
        np.array([np.nan if row.score is None else row.score for row in rows], dtype=np.float64),
        split.feature[kept],
        place[kept],
        ground.tiles,
    )


def _class_indices(project: ProjectView, class_ids: list[int]) -> Indices:
    index_of = {each.id: index for index, each in enumerate(project.classes)}
    return np.array([index_of[each] for each in class_ids], dtype=np.int64)


def _places(ground: Ground, tile_ids: Indices) -> Indices:
    order = np.argsort(ground.ids)
    return np.asarray(order[np.searchsorted(ground.ids[order], tile_ids)])
