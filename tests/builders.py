"""Rows for tests, straight into the tables: a project, tiles, predictions, decisions, each with sensible defaults.

with database.write() as connection:
    project = a_project(connection)
    anna = a_person(connection, "anna")
    tile = a_tile(connection, project, status="complete", finished_by=anna)
    roof = a_prediction(connection, project, tile, score=0.9)
    a_decision(connection, project, tile, roof.feature_id, "accept", anna)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, insert, select, update

from db.models import (
    Audit,
    AuditSample,
    Claim,
    Decision,
    Feature,
    Imagery,
    Model,
    Prediction,
    Run,
    SplitBlock,
    Tile,
    TileEvent,
    TileFeature,
)
from db.records import record_predictions
from db.types import HIGHEST_KEY, utc_now
from maploop.dataset.split import unit_hash
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.project import ProjectSettings, ProjectView, annotator_id, create_project
from maploop.vectors.geometry import GeometryType

CORNER = TileAddress(19, 306_000, 261_000)  # on land, a little north of the equator
CLASSES: Sequence[tuple[str, GeometryType]] = (("building", "polygon"), ("road", "line"), ("well", "point"))


@dataclass(frozen=True)
class PlacedTile:
    """A tile's row id and address."""

    id: int
    address: TileAddress

    def __str__(self) -> str:
        return str(self.address)


@dataclass(frozen=True)
class Predicted:
    """A prediction, and the feature it stands for."""

    feature_id: int
    prediction_id: int
    geometry: BaseGeometry


def a_project(
    connection: Connection,
    name: str = "Town",
    classes: Sequence[tuple[str, GeometryType]] = CLASSES,
    **settings: Any,
) -> ProjectView:
    """A project at zoom 19; keyword arguments are settings."""
    return create_project(connection, name, list(classes), zoom=19, seed="seed", settings=ProjectSettings(**settings))


def let_names_change(connection: Connection, *tables: str) -> None:
    """Take down what keeps the names of these tables, for tests that put hostile ones where nobody could."""
    for table in tables:
        on = "" if connection.dialect.name == "sqlite" else f' ON "{table}"'
        connection.exec_driver_sql(f"DROP TRIGGER {table}_no_rewrite{on}")


def a_person(connection: Connection, name: str) -> int:
    """The id of an annotator of that name."""
    return annotator_id(connection, name)


def some_imagery(connection: Connection, project: ProjectView, **values: Any) -> int:
    """The id of the project's imagery at a location, made when there is none; nothing is there to be read."""
    values = {"kind": "xyz", "location": "http://localhost/{z}/{x}/{y}.png", "info": {}, "attribution": "Us", **values}
    found = connection.execute(
        select(Imagery.id).where(Imagery.project_id == project.id, Imagery.location == values["location"])
    ).scalar()
    if found is not None:
        return found
    return connection.execute(
        insert(Imagery).values(project_id=project.id, **values).returning(Imagery.id)
    ).scalar_one()


def a_tile(
    connection: Connection,
    project: ProjectView,
    column: int = 0,
    row: int = 0,
    *,
    status: str = "open",
    finished_by: int | None = None,
    **values: Any,
) -> PlacedTile:
    """A tile `column` east and `row` south of `CORNER`, with imagery."""
    address = TileAddress(project.zoom, CORNER.x + column, CORNER.y + row)
    values = {
        "imagery_id": values.pop("imagery_id") if "imagery_id" in values else some_imagery(connection, project),
        "split": "train",
        "finished_at": None if finished_by is None else utc_now(),
        **values,
    }
    tile_id = connection.execute(
        insert(Tile)
        .values(
            project_id=project.id,
            z=address.z,
            x=address.x,
            y=address.y,
            quadkey=address.quadkey,
            shuffle=unit_hash(project.seed, address),
            status=status,
            finished_by=finished_by,
            **values,
        )
        .returning(Tile.id)
    ).scalar_one()
    return PlacedTile(tile_id, address)


def shape_on(tile: PlacedTile, place: int = 0, geometry_type: str = "polygon", *, shift: float = 0.0) -> BaseGeometry:
    """A shape in one of 100 places of the tile; `shift` moves it east by that share of its own width."""
    west, south, east, north = tile.address.bounds
    step_x, step_y = (east - west) / 10, (north - south) / 10
    left = west + (place % 10 + 0.2 + shift * 0.6) * step_x
    bottom = south + (place // 10 + 0.2) * step_y
    right, top = left + 0.6 * step_x, bottom + 0.6 * step_y
    if geometry_type == "polygon":
        return shapely.box(left, bottom, right, top)
    if geometry_type == "line":
        return shapely.LineString([(left, bottom), (right, top)])
    return shapely.Point(left, bottom)


def a_run(connection: Connection, project: ProjectView, model: str = "first") -> int:
    """The id of the only run of a model of that name, made when there is none."""
    found = connection.execute(
        select(Run.id).join(Model, Model.id == Run.model_id).where(Run.project_id == project.id, Model.name == model)
    ).scalar()
    if found is not None:
        return found
    model_id = connection.execute(
        insert(Model).values(project_id=project.id, name=model, backend="file").returning(Model.id)
    ).scalar_one()
    return connection.execute(
        insert(Run).values(project_id=project.id, model_id=model_id).returning(Run.id)
    ).scalar_one()


def a_prediction(
    connection: Connection,
    project: ProjectView,
    tile: PlacedTile,
    place: int = 0,
    *,
    class_name: str | None = None,
    score: float | None = 0.8,
    geometry: BaseGeometry | None = None,
    model: str = "first",
    properties: dict[str, str] | None = None,
) -> Predicted:
    """An undecided feature in one of 100 places of the tile, predicted by a run."""
    each = project.class_named(class_name) if class_name else project.classes[0]
    geometry = geometry if geometry is not None else shape_on(tile, place, each.geometry_type)
    feature_id = connection.execute(
        insert(Feature).values(project_id=project.id, class_id=each.id, geometry=geometry).returning(Feature.id)
    ).scalar_one()
    prediction_id = connection.execute(
        insert(Prediction)
        .values(
            run_id=a_run(connection, project, model),
            feature_id=feature_id,
            class_id=each.id,
            geometry=geometry,
            score=score,
            source_row=feature_id,
            properties=properties or {},
        )
        .returning(Prediction.id)
    ).scalar_one()
    connection.execute(update(Feature).where(Feature.id == feature_id).values(prediction_id=prediction_id))
    connection.execute(insert(TileFeature).values(tile_id=tile.id, feature_id=feature_id))
    return Predicted(feature_id, prediction_id, geometry)


def a_decision(
    connection: Connection,
    project: ProjectView,
    tile: PlacedTile,
    feature_id: int | None,
    verdict: str,
    annotator: int,
    *,
    class_name: str | None = None,
    geometry: BaseGeometry | None = None,
    audit: int | None = None,
    undoes: str | None = None,
    previous: str | None = None,
    seconds: float = 2.0,
    stored_at: datetime | None = None,
    reason: str | None = None,
) -> str:
    """A stored decision; its id. Without an `audit` it moves the feature; an add (no feature) makes one."""
    decision_id, now = str(uuid4()), stored_at or utc_now()
    if feature_id is None:
        chosen = project.class_named(class_name) if class_name else project.classes[0]
        geometry = geometry if geometry is not None else shape_on(tile, 99, chosen.geometry_type)
        feature_id = connection.execute(
            insert(Feature)
            .values(project_id=project.id, class_id=chosen.id, geometry=geometry, added_as=decision_id)
            .returning(Feature.id)
        ).scalar_one()
        connection.execute(insert(TileFeature).values(tile_id=tile.id, feature_id=feature_id))
    feature = connection.execute(select(Feature.__table__).where(Feature.id == feature_id)).mappings().one()
    class_id = project.class_named(class_name).id if class_name else feature["class_id"]
    geometry = geometry if geometry is not None else feature["geometry"]
    connection.execute(
        insert(Decision).values(
            id=decision_id,
            project_id=project.id,
            tile_id=tile.id,
            feature_id=feature_id,
            prediction_id=feature["prediction_id"],
            annotator_id=annotator,
            audit_id=audit,
            verdict=verdict,
            reason=reason,
            class_before_id=feature["class_id"],
            class_id=class_id,
            geometry_before=feature["geometry"],
            geometry=geometry,
            seconds=seconds,
            undoes=undoes,
            previous_id=previous if verdict == "undo" or audit else feature["decision_id"],
            made_at=now,
            stored_at=now,
        )
    )
    if audit is None and verdict != "undo":
        connection.execute(
            update(Feature)
            .where(Feature.id == feature_id)
            .values(verdict=verdict, class_id=class_id, geometry=geometry, decision_id=decision_id)
        )
    return decision_id


def feature_of(connection: Connection, decision_id: str) -> int:
    """The feature a decision is about."""
    return connection.execute(select(Decision.feature_id).where(Decision.id == decision_id)).scalar_one()


def a_tile_event(connection: Connection, tile: PlacedTile, act: str, annotator: int, **values: Any) -> str:
    """A stored act about a whole tile; its id. The tile itself stays as it is."""
    event_id = str(uuid4())
    connection.execute(
        insert(TileEvent).values(id=event_id, tile_id=tile.id, annotator_id=annotator, act=act, **values)
    )
    return event_id


def a_claim(connection: Connection, tile: PlacedTile, annotator: int, *, expires_at: datetime | None = None) -> None:
    """A lease on the tile, for an hour unless told otherwise."""
    expires_at = expires_at or utc_now() + timedelta(hours=1)
    connection.execute(insert(Claim).values(tile_id=tile.id, annotator_id=annotator, expires_at=expires_at))


def a_sample(
    connection: Connection, project: ProjectView, reviewer: int, tiles: dict[PlacedTile, int], **values: Any
) -> tuple[int, list[int]]:
    """A spot check of tiles, each with the annotator who finished it -> its id, and those of its audits in order."""
    sample_id = connection.execute(
        insert(AuditSample)
        .values(project_id=project.id, reviewer_id=reviewer, criteria={}, **values)
        .returning(AuditSample.id)
    ).scalar_one()
    return sample_id, [
        connection.execute(
            insert(Audit).values(sample_id=sample_id, tile_id=tile.id, annotator_id=annotator).returning(Audit.id)
        ).scalar_one()
        for tile, annotator in tiles.items()
    ]


def complete_history(connection: Connection, project: ProjectView) -> None:
    """Add what builders leave out and `maploop verify` asks for: blocks, acts that finished tiles, records of runs."""
    for tile in (
        connection.execute(select(Tile.__table__).where(Tile.project_id == project.id).order_by(Tile.id))
        .mappings()
        .all()
    ):
        place = {"z": tile["z"], "x": tile["x"], "y": tile["y"], "split": tile["split"]}
        connection.execute(insert(SplitBlock).values(project_id=project.id, **place))
        placed = PlacedTile(tile["id"], TileAddress(tile["z"], tile["x"], tile["y"]))
        acts = {"complete": ("complete",), "approved": ("complete", "approve")}.get(tile["status"], ())
        for act in acts:
            a_tile_event(connection, placed, act, tile["finished_by"])
    for run_id in (
        connection.execute(select(Run.id).where(Run.project_id == project.id).order_by(Run.id)).scalars().all()
    ):
        record_predictions(connection, project.id, run_id, 1, HIGHEST_KEY)
