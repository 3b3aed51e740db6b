"""Files of features on a small piece of ground, and what the database holds after their import."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import func, select

from db.bulk import table_of
from db.models import Base, Feature, Prediction, TileFeature
from db.models import Tile as TileRow
from maploop.database import Database
from maploop.imagery.tilemath import Tile
from maploop.predict.memory import features_with_ids
from maploop.project import ProjectView, annotator_id
from maploop.review.bulk import move_features, new_ids, record_decisions
from tests.builders import CORNER

WEST, SOUTH, EAST, NORTH = CORNER.bounds
STEP = (EAST - WEST) / 20  # a twentieth of a tile, about 4 m


def square(column: float = 1, row: float = 1, *, size: float = 2, shift: float = 0) -> BaseGeometry:
    """A square `size` steps wide, `column` steps east and `row` south of the corner tile's north-west corner."""
    x, y = WEST + (column + shift) * STEP, NORTH - row * STEP
    return shapely.box(x, y - size * STEP, x + size * STEP, y)


def block(columns: int = 4, rows: int = 1) -> BaseGeometry:
    """The ground of some tiles, the corner tile in the north-west: an area in which truth is complete."""
    tiles = [
        Tile(CORNER.z, CORNER.x + column, CORNER.y + row).polygon for column in range(columns) for row in range(rows)
    ]
    return shapely.union_all(tiles)


def feature(geometry: BaseGeometry, **properties: object) -> dict[str, Any]:
    """A GeoJSON feature."""
    return {"type": "Feature", "geometry": shapely.geometry.mapping(geometry), "properties": properties}


def write(path: Path, features: Iterable[Mapping[str, Any] | BaseGeometry]) -> Path:
    """A GeoJSON file."""
    rows = [feature(each) if isinstance(each, BaseGeometry) else each for each in features]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": rows}), encoding="utf-8")
    return path


def counts(database: Database) -> dict[str, int]:
    """Rows in every table."""
    with database.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in Base.metadata.sorted_tables
        }


def features(database: Database) -> list[Any]:
    """All features, oldest first, each with the score it shows and how its newest prediction was remembered."""
    newest = (
        select(Prediction.feature_id, func.max(Prediction.id).label("id")).group_by(Prediction.feature_id).subquery()
    )
    query = (
        select(*table_of(Feature).columns, Prediction.remembered)
        .outerjoin(newest, newest.c.feature_id == Feature.id)
        .outerjoin(Prediction, Prediction.id == newest.c.id)
        .order_by(Feature.id)
    )
    with database.read() as connection:
        return list(connection.execute(query))


def tiles(database: Database) -> dict[Tile, Any]:
    """All tiles."""
    with database.read() as connection:
        rows = connection.execute(select(*table_of(TileRow).columns).order_by(TileRow.x, TileRow.y)).all()
    return {Tile(row.z, row.x, row.y): row for row in rows}


def tiles_of(database: Database, feature_id: int) -> set[Tile]:
    """The tiles a feature touches."""
    query = (
        select(TileRow.z, TileRow.x, TileRow.y)
        .join(TileFeature, TileFeature.tile_id == TileRow.id)
        .where(TileFeature.feature_id == feature_id)
    )
    with database.read() as connection:
        return {Tile(*row) for row in connection.execute(query)}


def decide(
    database: Database,
    project: ProjectView,
    feature_id: int,
    verdict: str,
    *,
    geometry: BaseGeometry | None = None,
    class_name: str | None = None,
    who: str = "anna",
) -> None:
    """Decide a feature as a person would."""
    with database.write() as connection:
        person = annotator_id(connection, who)
        before = features_with_ids(connection, [feature_id])
        tile = connection.execute(select(TileFeature.tile_id).where(TileFeature.feature_id == feature_id)).scalars()
        on = before.ids * 0 + next(tile)
        classes = before.class_ids if class_name is None else before.ids * 0 + project.class_named(class_name).id
        outlines = shapely.to_wkb(before.geometries if geometry is None else [geometry])
        ids, verdicts = new_ids(1), [verdict]
        record_decisions(connection, project.id, person, ids, before.ids, on, verdicts, classes, outlines, before)
        move_features(connection, before.ids, verdicts, classes, outlines, ids)


def numbers(answer: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Some of the numbers of an answer."""
    return {name: answer[name] for name in names}
