"""What another model has predicted, read back from its runs, to be sharpened."""

import hashlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import shapely
from sqlalchemy import Connection, LargeBinary, func, select, type_coerce

from db.models import Prediction, Run, RunTile, TileFeature
from db.models import Tile as TileRow
from maploop.imagery.tilemath import Tile, tile_indices
from maploop.predict.models import ModelView
from maploop.predict.predictor import FoundFeature
from maploop.project import ProjectView


def state_of(connection: Connection, model: ModelView) -> str:
    """Changes whenever the model has predicted something more."""
    newest, tiles = connection.execute(
        select(func.max(RunTile.run_id), func.count())
        .join(Run, Run.id == RunTile.run_id)
        .where(Run.model_id == model.id, RunTile.status == "ok")
    ).one()
    last = connection.execute(select(func.max(Run.id)).where(Run.model_id == model.id)).scalar()
    return hashlib.sha256(f"sharpen {model.id} {newest} {tiles} {last}".encode()).hexdigest()


def classes_found(connection: Connection, model: ModelView) -> set[int]:
    """Ids of the classes that the model has predictions of."""
    found = select(Prediction.class_id).join(Run, Run.id == Prediction.run_id).where(Run.model_id == model.id)
    return set(connection.execute(found.distinct()).scalars())


def found_earlier(
    connection: Connection, project: ProjectView, model: ModelView, tiles: Sequence[Tile], class_ids: Collection[int]
) -> Mapping[Tile, list[FoundFeature]]:
    """Features of some classes with their middle on these tiles, as the newest run of the model over each has them.

    Tiles that it has not predicted are not among the answers; of a file of predictions, which may have come in parts,
    every import counts and every tile is.
    """
    xs, ys = [tile.x for tile in tiles], [tile.y for tile in tiles]
    on_tiles = (
        select(TileRow.id)
        .where(
            TileRow.project_id == project.id,
            TileRow.z == project.zoom,
            TileRow.x.between(min(xs), max(xs)),
            TileRow.y.between(min(ys), max(ys)),
        )
        .subquery()
    )
    newest = {
        Tile(row.z, row.x, row.y): row.run
        for row in connection.execute(
            select(TileRow.z, TileRow.x, TileRow.y, func.max(RunTile.run_id).label("run"))
            .join(RunTile, RunTile.tile_id == TileRow.id)
            .join(Run, Run.id == RunTile.run_id)
            .where(Run.model_id == model.id, RunTile.status == "ok", TileRow.id.in_(select(on_tiles.c.id)))
            .group_by(TileRow.z, TileRow.x, TileRow.y)
        )
    }
    rows = connection.execute(
        select(
            Prediction.feature_id,
            Prediction.run_id,
            Prediction.class_id,
            Prediction.score,
            type_coerce(Prediction.geometry, LargeBinary).label("wkb"),
        )
        .join(Run, Run.id == Prediction.run_id)
        .where(
            Run.model_id == model.id,
            Prediction.class_id.in_(sorted(class_ids)),
            Prediction.feature_id.in_(
                select(TileFeature.feature_id).where(TileFeature.tile_id.in_(select(on_tiles.c.id)))
            ),
        )
        .order_by(Prediction.id)
    ).all()
    covered = set(tiles) if model.backend == "file" else set(newest) & set(tiles)
    found: dict[Tile, list[FoundFeature]] = {tile: [] for tile in covered}
    if not rows:
        return found
    geometries = shapely.from_wkb(np.array([row.wkb for row in rows], dtype=object))
    middles = shapely.centroid(geometries)
    columns, lines = tile_indices(shapely.get_x(middles), shapely.get_y(middles), project.zoom)
    names = {each.id: each.name for each in project.classes}
    latest: dict[int, tuple[Tile, FoundFeature]] = {}
    for row, geometry, x, y in zip(rows, geometries, columns.tolist(), lines.tolist(), strict=True):
        tile = Tile(project.zoom, x, y)
        if tile in covered and row.run_id >= newest.get(tile, 0):
            latest[row.feature_id] = tile, FoundFeature(names[row.class_id], geometry, row.score)
        else:
            latest.pop(row.feature_id, None)
    for tile, feature in latest.values():
        found[tile].append(feature)
    return found
