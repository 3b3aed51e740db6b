"""Storing what a model predicted, a whole run or a batch of one: predictions and what they stand for, or nothing."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, insert, select, update

from db.bulk import lock_project
from db.models import Model, Run
from db.types import utc_now
from maploop.database import Database
from maploop.errors import ConflictError
from maploop.imagery.tilemath import Tile
from maploop.imagery.tiles import ensure_tiles, tile_ids_around
from maploop.import_records import cover_tiles, keep_report, record_import
from maploop.predict.extent import small_holes, tiles_at_zoom, tiles_within
from maploop.predict.memory import Recall, known_features, recall, recall_since
from maploop.predict.models import add_model
from maploop.predict.placing import Placement, place
from maploop.predict.score_cut import score_cut_of
from maploop.predict.whereabouts import check_on_imagery
from maploop.predict.writer import Covered, PredictionWriter, StoredRun
from maploop.project import ProjectView
from maploop.vectors.features import FeatureTable

__all__ = ["Covered", "NewRun", "Progress", "StoredRun", "check_not_stored", "store_batch", "store_run"]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class NewRun:
    """A run about to be stored. Two runs of one model with equal `fingerprint` are the same predictions twice."""

    model: str
    backend: str
    source: str
    started_at: datetime
    identifier: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    again: bool = False  # store it although the fingerprint is known
    annotator: str | None = None  # who brings it in
    outside_imagery: bool = False  # also when none of it lies on imagery
    area: BaseGeometry | None = None  # in which the model looked, EPSG:4326
    looked_at: Sequence[Tile] = ()  # tiles of any zoom whose pictures the file lists


def check_not_stored(connection: Connection, project: ProjectView, run: NewRun) -> None:
    """Make sure that these predictions are not there already. Raises ConflictError naming the run that has them."""
    if run.again or not run.fingerprint:
        return
    earlier = connection.execute(
        select(Run.id, Run.started_at, Run.report)
        .join(Model, Model.id == Run.model_id)
        .where(Run.project_id == project.id, Model.name == run.model, Run.withdrawn_at.is_(None))
        .order_by(Run.id)
    )
    for row in earlier:
        if row.report.get("fingerprint") == run.fingerprint:
            msg = (
                f"{Path(run.source).name} was imported for model {run.model!r} already, as run {row.id} on "
                f"{row.started_at:%Y-%m-%d %H:%M} UTC: import it --again if that is meant."
            )
            raise ConflictError(msg)


def store_run(
    database: Database,
    project: ProjectView,
    table: FeatureTable,
    run: NewRun,
    progress: Progress = lambda _: None,
) -> tuple[int, StoredRun]:
    """Store a file of predictions, all or nothing -> the import's id, and what became of them.

    What can be found out before taking the writer is. No feature may span more tiles than `placing.place` takes.
    Raises ConflictError, InputError.
    """
    ready = _compared(database, project, table, (), progress)
    if not run.outside_imagery:
        with database.read() as connection:
            check_on_imagery(connection, project, table.geometries, ready.placement, Path(run.source))
    progress("Writing")
    with database.write() as connection:
        lock_project(connection, project.id)
        check_not_stored(connection, project, run)
        model_id = _model(connection, project, run)
        run_id = connection.execute(
            insert(Run)
            .values(
                project_id=project.id,
                model_id=model_id,
                source=run.source,
                tiles=len(ready.placement.tiles),
                started_at=run.started_at,
                score_cut=score_cut_of(connection, project.id, model_id),
            )
            .returning(Run.id)
        ).scalar_one()
        import_id = record_import(
            connection, project, "predictions", run.source, run.annotator, run_id=run_id, area=run.area
        )
        writer = _writer(connection, project, ready, import_id)
        stored = writer.store(run_id, model_id)
        cover_tiles(connection, import_id, _looked_at(connection, project, ready.placement, run, import_id))
        report = {**run.report, **asdict(stored)}
        keep_report(connection, import_id, report)
        connection.execute(
            update(Run)
            .where(Run.id == run_id)
            .values(
                report={**report, "fingerprint": run.fingerprint},
                seconds=(utc_now() - run.started_at).total_seconds(),
                finished_at=utc_now(),
            )
        )
    return import_id, stored


def store_batch(
    database: Database,
    project: ProjectView,
    table: FeatureTable,
    *,
    run_id: int,
    model_id: int,
    covered: Covered,
    record: Callable[[Connection, StoredRun], None],
) -> StoredRun:
    """Store some predictions of a run under way, and with them what `record` writes: all or nothing.

    `covered`: the tiles that they are all there is to say of. Raises what `record` raises, ConflictError, InputError.
    """
    ready = _compared(database, project, table, covered.tiles)
    with database.write() as connection:
        lock_project(connection, project.id)
        stored = _writer(connection, project, ready).store(run_id, model_id, covered)
        record(connection, stored)
    return stored


@dataclass(frozen=True)
class _Compared:
    """Predictions beside what is known, as found before taking the writer; `tiles`: all that they concern."""

    table: FeatureTable
    class_ids: NDArray[np.int64]
    placement: Placement
    tiles: list[Tile]
    recalled: Recall


def _compared(
    database: Database,
    project: ProjectView,
    table: FeatureTable,
    covered: Sequence[Tile],
    progress: Progress = lambda _: None,
) -> _Compared:
    class_ids = np.array([project.class_named(name).id for name in table.class_names], dtype=np.int64)
    placement = place(table.geometries, project.zoom)
    tiles = list({*placement.tiles, *covered})
    progress("Comparing with what is known")
    with database.read() as connection:
        known = known_features(connection, project, tiles)
    return _Compared(table, class_ids, placement, tiles, recall(table.geometries, class_ids, known, project))


def _looked_at(
    connection: Connection, project: ProjectView, placement: Placement, run: NewRun, import_id: int
) -> set[int]:
    """Ids of the tiles that a file of predictions covers.

    Those that it touches, small gaps that they enclose, and those of its area and pictures, found empty or not.
    """
    places = np.array([(tile.x, tile.y) for tile in placement.tiles], dtype=np.int64).reshape(-1, 2)
    wanted = {*map(tuple, places.tolist()), *map(tuple, small_holes(places).tolist())}
    covered = {identifier for place, identifier in tile_ids_around(connection, project, places) if place in wanted}
    stated = tiles_at_zoom(run.looked_at, project.zoom)
    if run.area is not None:
        stated += tiles_within(connection, project, run.area, placement.tiles)
    return covered | set(ensure_tiles(connection, project, stated, import_id=import_id))


def _writer(
    connection: Connection, project: ProjectView, ready: _Compared, import_id: int | None = None
) -> PredictionWriter:
    """The writer for predictions, brought up to what happened since they were compared."""
    table, class_ids = ready.table, ready.class_ids
    recalled = recall_since(connection, project, ready.tiles, table.geometries, class_ids, ready.recalled)
    return PredictionWriter(connection, project, table, class_ids, ready.placement, recalled, import_id)


def _model(connection: Connection, project: ProjectView, run: NewRun) -> int:
    """The id of the run's model, made when there is none of that name."""
    found = connection.execute(select(Model.id).where(Model.project_id == project.id, Model.name == run.model)).scalar()
    if found is not None:
        return found
    added = add_model(connection, project, run.model, run.backend, identifier=run.identifier, parameters=run.parameters)
    return added.id
