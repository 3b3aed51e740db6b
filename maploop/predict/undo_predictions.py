"""Taking back a file of predictions: what it showed goes, what it hid comes back, what people decided stays."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Connection, LargeBinary, func, select, type_coerce, update

from db.bulk import in_lists, update_rows
from db.models import Feature, Import, ImportTile, Prediction, Run, RunTile
from db.types import utc_now
from maploop.imagery.tiles import ensure_tiles
from maploop.predict.placing import drop_places, keep_places, place, places_of
from maploop.predict.uncertainty import refresh_uncertainty
from maploop.predict.withdrawal import settle_withdrawn
from maploop.project import ProjectView
from maploop.vectors.geometry import Geometries, as_geometries


@dataclass
class PredictionsUndone:
    """Counts of a run taken back; `tile_ids`: tiles that look different now, `asking`: with features to decide.

    removed     undecided features that nobody else predicts: not shown any more
    reverted    undecided features that show an earlier prediction again
    restored    undecided features of other models that this run had not found: shown again
    kept        features that people decided
    """

    removed: int = 0
    reverted: int = 0
    restored: int = 0
    kept: int = 0
    tile_ids: set[int] = field(default_factory=set)
    asking: set[int] = field(default_factory=set)


def undo_predictions(connection: Connection, project: ProjectView, run_id: int) -> PredictionsUndone:
    """Take back the predictions of a run that was imported as a file; needs a write transaction, project locked.

    The run and its predictions stay on record, and count no more.
    """
    undone = PredictionsUndone()
    connection.execute(update(Run).where(Run.id == run_id).values(withdrawn_at=utc_now()))
    of_run = select(Prediction.id).where(Prediction.run_id == run_id)
    rows = connection.execute(
        select(Feature.id, Feature.verdict, Feature.withdrawn).where(Feature.prediction_id.in_(of_run))
    ).all()
    undone.kept = sum(row.verdict is not None for row in rows)
    gone = [row.id for row in rows if row.verdict is None]
    shown = {row.id for row in rows if row.verdict is None and not row.withdrawn}
    undone.tile_ids |= places_of(connection, gone)
    earlier = _earlier_predictions(connection, gone)
    _show_earlier(connection, project, earlier)
    hidden = settle_withdrawn(connection, earlier.keys())
    reverted = earlier.keys() - hidden
    undone.reverted = len(reverted)
    left = [each for each in gone if each not in earlier]
    undone.removed = len(shown.intersection(left))
    drop_places(connection, left)
    count = len(left)
    update_rows(connection, Feature, left, {"withdrawn": [True] * count, "withdrawn_by": [None] * count})
    restored = _restore(connection, run_id)
    undone.restored = len(restored)
    undone.asking = places_of(connection, [*restored, *reverted])
    undone.tile_ids |= undone.asking | places_of(connection, list(earlier))
    refresh_uncertainty(connection, project.id, sorted(undone.tile_ids))
    return undone


def _earlier_predictions(connection: Connection, feature_ids: Collection[int]) -> dict[int, int]:
    """Feature -> the newest prediction of it by a run that was not taken back, where there is one."""
    found: dict[int, int] = {}
    for ids in in_lists(sorted(feature_ids)):
        found.update(
            connection.execute(
                select(Prediction.feature_id, func.max(Prediction.id))
                .join(Run, Run.id == Prediction.run_id)
                .where(Prediction.feature_id.in_(ids), Run.withdrawn_at.is_(None))
                .group_by(Prediction.feature_id)
            ).all()
        )
    return found


def _show_earlier(connection: Connection, project: ProjectView, earlier: dict[int, int]) -> None:
    """Show earlier predictions of features again, where they lie."""
    rows: list[Any] = []
    for ids in in_lists(sorted(earlier.values())):
        rows += connection.execute(
            select(
                Prediction.id,
                Prediction.feature_id,
                Prediction.class_id,
                type_coerce(Prediction.geometry, LargeBinary).label("geometry"),
            ).where(Prediction.id.in_(ids))
        ).all()
    update_rows(
        connection,
        Feature,
        [row.feature_id for row in rows],
        {
            "prediction_id": [row.id for row in rows],
            "class_id": [row.class_id for row in rows],
            "geometry": [row.geometry for row in rows],
        },
    )
    outlines = as_geometries(shapely.from_wkb([row.geometry for row in rows]))
    place_anew(connection, project, [row.feature_id for row in rows], outlines)


def place_anew(connection: Connection, project: ProjectView, feature_ids: list[int], outlines: Geometries) -> set[int]:
    """List features on the tiles they touch now, and on no others -> the tiles they were or are on."""
    if not feature_ids:
        return set()
    left = drop_places(connection, feature_ids)
    placement = place(outlines, project.zoom)
    tile_ids = np.array(ensure_tiles(connection, project, placement.tiles), dtype=np.int64)
    ids = np.array(feature_ids, dtype=np.int64)
    keep_places(connection, tile_ids[placement.tile], ids[placement.feature])
    return left | set(tile_ids.tolist())


def _restore(connection: Connection, run_id: int) -> list[int]:
    """Show again what this run had not found, unless a later run looked there too and did not find it either."""
    rows = connection.execute(
        select(Feature.id, Run.model_id)
        .join(Prediction, Prediction.id == Feature.prediction_id)
        .join(Run, Run.id == Prediction.run_id)
        .where(Feature.withdrawn_by == run_id, Feature.verdict.is_(None), Run.withdrawn_at.is_(None))
    ).all()
    later = _later_runs(connection, run_id)
    restored, still_gone = [], {}
    for row in rows:
        tiles = places_of(connection, [row.id]) if later else set()
        runs = [run for tile in tiles for run, model in later.get(tile, ()) if model != row.model_id]
        if runs:
            still_gone[row.id] = max(runs)
        else:
            restored.append(row.id)
    count = len(restored)
    update_rows(connection, Feature, restored, {"withdrawn": [False] * count, "withdrawn_by": [None] * count})
    update_rows(connection, Feature, list(still_gone), {"withdrawn_by": list(still_gone.values())})
    hidden = settle_withdrawn(connection, restored)
    return [each for each in restored if each not in hidden]


def _later_runs(connection: Connection, run_id: int) -> dict[int, list[tuple[int, int]]]:
    """Tile -> run and model of later runs of the project that looked at it."""
    project_id = connection.execute(select(Run.project_id).where(Run.id == run_id)).scalar_one()
    later = (Run.project_id == project_id, Run.id > run_id, Run.withdrawn_at.is_(None))
    answered = (
        select(RunTile.tile_id, Run.id, Run.model_id)
        .join(Run, Run.id == RunTile.run_id)
        .where(*later, RunTile.status == "ok")
    )
    covered = (
        select(ImportTile.tile_id, Run.id, Run.model_id)
        .join(Import, Import.id == ImportTile.import_id)
        .join(Run, Run.id == Import.run_id)
        .where(*later)
    )
    found: dict[int, list[tuple[int, int]]] = {}
    for query in (answered, covered):
        for tile, run, model in connection.execute(query):
            found.setdefault(tile, []).append((run, model))
    return found
