"""A model's predictions against a project's annotations, on the finished tiles of a split."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, LargeBinary, select, type_coerce

from db.bulk import in_lists
from db.models import Feature, Model, Prediction, Run, RunTile, TileFeature
from db.models import Tile as TileRow
from maploop.dataset.blocks import blocks_of
from maploop.dataset.selection import ANNOTATED, in_scope
from maploop.dataset.split import Split
from maploop.errors import ConflictError, InputError, NotFoundError
from maploop.evaluate.answers import NO_RUN, Answers, States, TileState, basis_json, state_of
from maploop.evaluate.ignored import ANY_CLASS
from maploop.evaluate.layers import Indices, Layer, cut_layer
from maploop.evaluate.matching import Rules
from maploop.evaluate.metrics import Evaluation, evaluate
from maploop.imagery.pixel_records import coverage_in
from maploop.imagery.tilemath import Tile
from maploop.predict.destination import imagery_that_stays_here
from maploop.predict.models import load_model
from maploop.project import ProjectView
from maploop.vectors.geometry import as_geometries, split_by_tiles


@dataclass(frozen=True)
class Ground:
    """The tiles that count, by place, with their row ids and their split blocks; parallel.

    `split` is empty for tiles that were chosen; `blocks` are any numbers, equal for tiles of one block.
    """

    tiles: list[Tile]
    ids: Indices
    split: str
    blocks: Indices

    def only(self, kept: NDArray[np.bool_]) -> "Ground":
        """Some of the tiles."""
        rows = np.flatnonzero(kept).tolist()
        return Ground([self.tiles[row] for row in rows], self.ids[kept], self.split, self.blocks[kept])


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
    tiles: Sequence[Tile] = (),
    run_id: int | None = None,
) -> tuple[Evaluation, dict[str, Any]]:
    """Hold what a model predicted against the annotations of a split -> the evaluation, and what it rests on.

    Tiles that are complete or approved count; features are cut at them. Where somebody is unsure, nobody knows the
    truth: what is predicted there counts neither way. The model's word on a tile is its newest run's, and on tiles that
    this one did not ask for, that of older runs which put the same question to the model. Tiles that it could not be
    asked about are left out and counted by reason, never taken for empty answers. With `run_id`, that run alone. A file
    of predictions is a run that was asked for every tile, unless nothing in it lies on any of them. Features wholly on
    ground without pixels count on neither side. With `tiles`, these instead of a split. Raises NotFoundError,
    InputError, ConflictError saying why there is nothing.
    """
    ground = load_ground(connection, project, split, tiles)
    answers = load_answers(connection, project, ground, model_name, run_id)
    counts, asked = answers.counts, answers.asked
    if not counts.asked:
        msg = f"{model_name!r} {counts.text()}: {ask_command(project.name, model_name, ground.split)} asks it."
        raise ConflictError(msg)
    ground, answers = ground.only(asked), answers.only(asked)
    truth = load_truth(connection, project, ground, bare=True)
    seen = on_pixels(connection, ground, truth)
    unsure = load_unsure(connection, project, ground)
    evaluation = evaluate(
        truth.only(seen),
        answers.predictions,
        project.geometry_types,
        len(ground.tiles),
        rules,
        failed=answers.failed,
        blocks=ground.blocks,
        ignored=unsure,
    )
    return evaluation, {
        "project": project.name,
        "model": model_name,
        "split": ground.split,
        **({} if ground.split else {"chosen_tiles": [str(tile) for tile in ground.tiles]}),
        "runs": answers.runs,
        "prompt_hashes": answers.prompt_hashes,
        **basis_json(counts),
        "failures": answers.failures,
        "truth_without_pixels": int((~seen).sum()),
        "unsure": len(unsure),
    }


def ask_command(project: str, model: str, split: str, backend: str = "") -> str:
    """The command that asks a model about the tiles it has not answered; `split` is empty where tiles were chosen."""
    project, model = shlex.quote(project), shlex.quote(model)
    if backend == "file":
        return f"`maploop import predictions {project} FILE --model {model}`"
    return f"`maploop predict {project} --model {model} {f'--split {split}' if split else '--all'}`"


def load_ground(
    connection: Connection, project: ProjectView, split: str = "test", tiles: Sequence[Tile] = ()
) -> Ground:
    """The finished tiles of a split, or those given. Raises InputError, ConflictError."""
    if split not in get_args(Split):
        msg = f"{split!r} is not a split: use {', '.join(get_args(Split))}."
        raise InputError(msg)
    query = select(TileRow.id, TileRow.x, TileRow.y).where(in_scope(project, "complete"), TileRow.z == project.zoom)
    rows = connection.execute(
        (query if tiles else query.where(TileRow.split == split)).order_by(TileRow.x, TileRow.y)
    ).all()
    if tiles:
        known = {Tile(project.zoom, row.x, row.y): row for row in rows}
        if lacking := sorted(set(tiles) - set(known)):
            msg = f"{lacking[0]} is not a finished tile of {project.name!r} at zoom {project.zoom}: review it first."
            raise InputError(msg)
        rows = [known[tile] for tile in sorted(set(tiles), key=lambda tile: (tile.x, tile.y))]
    if not rows:
        msg = f"No tile of the {split} split of {project.name!r} is complete yet: review some, or import known truth."
        raise ConflictError(msg)
    places = [Tile(project.zoom, row.x, row.y) for row in rows]
    return Ground(
        places,
        np.array([row.id for row in rows], dtype=np.int64),
        "" if tiles else split,
        blocks_of(connection, project, places),
    )


def load_answers(
    connection: Connection, project: ProjectView, ground: Ground, model_name: str, run_id: int | None = None
) -> Answers:
    """What a model, or one run of it, said on the ground. Raises NotFoundError."""
    hashes = _runs(connection, project, model_name, run_id)
    run, states, failures = _outcomes(connection, list(hashes), ground)
    states[(states == TileState.NOT_ASKED) & _stays(connection, project, ground, model_name)] = (
        TileState.LICENCE_REFUSED
    )
    runs = np.unique(run[run != NO_RUN]).tolist() or list(hashes)[:1]
    predictions = _predictions(connection, project, ground, run)
    if not failures and len(hashes) == 1 and not len(predictions) and not _asked_by_tile(connection, runs[0]):
        run, states = np.full_like(run, NO_RUN), np.full_like(states, TileState.NOT_ASKED)
    return Answers(
        states=states,
        run=run,
        failures=failures,
        runs=runs,
        prompt_hashes=sorted({hashes[each] for each in runs} - {""}),
        predictions=predictions,
    )


def _stays(connection: Connection, project: ProjectView, ground: Ground, model_name: str) -> NDArray[np.bool_]:
    """Tiles whose imagery may not be shown to the model, by its licence."""
    model = load_model(connection, project, model_name)
    stays = imagery_that_stays_here(connection, project, model.backend, model.parameters)
    if not stays:
        return np.zeros(len(ground.ids), dtype=np.bool_)
    return _of_ground(connection, ground, TileRow.imagery_id.in_(list(stays)))


def _asked_by_tile(connection: Connection, run_id: int) -> bool:
    """Whether a run was asked about tiles one by one, as files of predictions are not."""
    return connection.execute(select(RunTile.tile_id).where(RunTile.run_id == run_id).limit(1)).first() is not None


def _runs(connection: Connection, project: ProjectView, model_name: str, run_id: int | None) -> dict[int, str]:
    """Runs whose answers count, newest first, with the hashes of their prompts. Raises NotFoundError."""
    wanted = " ".join(model_name.split())
    models = connection.execute(select(Model.name).where(Model.project_id == project.id).order_by(Model.id)).scalars()
    names = list(models)
    if wanted not in names:
        msg = f"There is no model {wanted!r} in {project.name!r}: {', '.join(map(repr, names)) or 'none yet'}."
        raise NotFoundError(msg)
    rows = connection.execute(
        select(Run.id, Run.prompt_hash, Run.tiles)
        .join(Model, Model.id == Run.model_id)
        .where(Run.project_id == project.id, Model.name == wanted, Run.withdrawn_at.is_(None))
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
        return {newest.id: newest.prompt_hash}
    return {row.id: row.prompt_hash for row in rows if row.tiles and row.prompt_hash == newest.prompt_hash}


def _outcomes(connection: Connection, runs: list[int], ground: Ground) -> tuple[Indices, States, dict[str, int]]:
    """Columns of `Answers` by tile, and how many tiles failed in which way."""
    run = np.full(len(ground.ids), NO_RUN, dtype=np.int64)
    states = np.full(len(ground.ids), TileState.NOT_ASKED, dtype=np.int8)
    place_of = {tile_id: place for place, tile_id in enumerate(ground.ids.tolist())}
    kinds: dict[int, str] = {}
    by_tile = False
    for run_id in reversed(runs):  # newer ones take over
        rows = connection.execute(
            select(RunTile.tile_id, RunTile.status, RunTile.failure).where(RunTile.run_id == run_id)
        ).all()
        by_tile = by_tile or bool(rows)
        for tile_id, status, failure in rows:
            place = place_of.get(tile_id)
            state = state_of(status, failure)
            if place is None or (state > TileState.FAILED and states[place] <= TileState.FAILED):
                continue  # what could not be asked takes nothing away from what was answered before
            run[place], states[place] = run_id, state
            kinds[place] = failure or "failed"
    if not by_tile:
        run[:], states[:] = runs[0], TileState.ANSWERED
    failed = np.flatnonzero(states == TileState.FAILED).tolist()
    run[states > TileState.FAILED] = NO_RUN
    uncovered, blank = _without_imagery(connection, ground), _without_pixels(connection, ground)
    states[uncovered & (states == TileState.NOT_ASKED)] = TileState.NO_PIXELS
    run[blank], states[blank] = NO_RUN, TileState.NO_PIXELS
    return run, states, dict(sorted(Counter(kinds[place] for place in failed).items()))


def _without_imagery(connection: Connection, ground: Ground) -> NDArray[np.bool_]:
    """Tiles of the ground that no imagery covers."""
    return _of_ground(connection, ground, TileRow.imagery_id.is_(None))


def _without_pixels(connection: Connection, ground: Ground) -> NDArray[np.bool_]:
    """Tiles of the ground on which imagery was looked for in vain: whatever was answered there rests on nothing."""
    return _of_ground(connection, ground, TileRow.pixel_share == 0)


def _of_ground(connection: Connection, ground: Ground, condition: ColumnElement[bool]) -> NDArray[np.bool_]:
    found: set[int] = set()
    for some in in_lists(ground.ids.tolist()):
        found.update(connection.execute(select(TileRow.id).where(TileRow.id.in_(some), condition)).scalars())
    return np.isin(ground.ids, sorted(found))


def load_truth(connection: Connection, project: ProjectView, ground: Ground, *, bare: bool = False) -> Layer:
    """The annotations of the ground, cut at its tiles; those wholly on ground without pixels only when `bare`."""
    layer = _features(connection, project, ground, ANNOTATED)
    return layer if bare else layer.only(on_pixels(connection, ground, layer))


def load_unsure(connection: Connection, project: ProjectView, ground: Ground) -> Layer:
    """The features that somebody is unsure of, cut at the tiles of the ground: ignore regions, for any class."""
    layer = _features(connection, project, ground, ("unsure",))
    return replace(layer, class_index=np.full(len(layer), ANY_CLASS, dtype=np.int64))


def _features(connection: Connection, project: ProjectView, ground: Ground, verdicts: Sequence[str]) -> Layer:
    """The features of the ground with one of some verdicts, cut at its tiles."""
    on_ground = in_scope(project, "complete") & TileRow.x.between(ground.tiles[0].x, ground.tiles[-1].x)
    if ground.split:
        on_ground &= TileRow.split == ground.split
    features = (Feature.verdict.in_(verdicts), Feature.withdrawn.is_(False))
    placed = connection.execute(
        select(TileFeature.tile_id, TileFeature.feature_id)
        .join(TileRow, TileRow.id == TileFeature.tile_id)
        .join(Feature, Feature.id == TileFeature.feature_id)
        .where(on_ground, *features)
        .order_by(TileFeature.feature_id, TileFeature.tile_id)
    ).all()
    pairs = np.array([tuple(row) for row in placed], dtype=np.int64).reshape(-1, 2)
    pairs = pairs[np.isin(pairs[:, 0], ground.ids)]
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


def on_pixels(connection: Connection, ground: Ground, layer: Layer) -> NDArray[np.bool_]:
    """Which features have pixels under some of what lies on their tile, as far as that was measured.

    Nobody can tell what is on ground without pixels: it counts neither as truth nor as a prediction.
    """
    seen = np.ones(len(layer), dtype=np.bool_)
    place_of = {tile_id: place for place, tile_id in enumerate(ground.ids.tolist())}
    for some in in_lists(ground.ids.tolist()):
        rows = connection.execute(
            select(TileRow.id, TileRow.pixel_share, TileRow.pixel_mask).where(
                TileRow.id.in_(some), TileRow.pixel_mask.is_not(None)
            )
        )
        for tile_id, share, mask in rows:
            place = place_of[tile_id]
            on_tile = np.flatnonzero(layer.tile == place)
            if len(on_tile) and (coverage := coverage_in(share, mask)) is not None:
                seen[on_tile] = coverage.under(layer.geometries[on_tile], ground.tiles[place])
    return seen


def _predictions(connection: Connection, project: ProjectView, ground: Ground, run_of_tile: Indices) -> Layer:
    """Each tile's predictions, of the run that answered for it."""
    rows = connection.execute(
        select(
            Prediction.run_id,
            Prediction.class_id,
            type_coerce(Prediction.geometry, LargeBinary).label("geometry"),
            Prediction.score,
        )
        .where(Prediction.run_id.in_(np.unique(run_of_tile).tolist()))
        .order_by(Prediction.id)
    ).all()
    geometries = as_geometries(shapely.from_wkb([row.geometry for row in rows]))
    run = np.array([row.run_id for row in rows], dtype=np.int64)
    split = split_by_tiles(geometries, project.zoom)
    keys = split.x << project.zoom | split.y
    known = np.array([tile.x << project.zoom | tile.y for tile in ground.tiles], dtype=np.int64)  # ascending
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    kept = (known[place] == keys) & (run_of_tile[place] == run[split.feature])
    layer = cut_layer(
        geometries,
        _class_indices(project, [row.class_id for row in rows]),
        np.array([np.nan if row.score is None else row.score for row in rows], dtype=np.float64),
        split.feature[kept],
        place[kept],
        ground.tiles,
    )
    return layer.only(on_pixels(connection, ground, layer))


def _class_indices(project: ProjectView, class_ids: list[int]) -> Indices:
    index_of = {each.id: index for index, each in enumerate(project.classes)}
    return np.array([index_of[each] for each in class_ids], dtype=np.int64)


def _places(ground: Ground, tile_ids: Indices) -> Indices:
    order = np.argsort(ground.ids)
    return np.asarray(order[np.searchsorted(ground.ids[order], tile_ids)])
