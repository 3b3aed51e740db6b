"""A small project on the ground for the tests of the review: tiles in a row, a grid of predicted buildings on each."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
from shapely.geometry import box
from sqlalchemy import insert, update

from db.models import Feature, Imagery, Model, Prediction, Run, SplitBlock, TileFeature
from db.models import Tile as TileTable
from db.records import record_predictions
from db.types import HIGHEST_KEY
from maploop.database import Database
from maploop.imagery.tilemath import Tile
from maploop.project import ProjectView, annotator_id, create_project
from maploop.review.opening import open_tile
from maploop.review.outbox import store_outbox
from maploop.review.wire import parse_open

FIRST = Tile(19, 262144, 262144)


@dataclass
class Ground:
    """The project, and what a browser would do with it."""

    database: Database
    project: ProjectView
    people: dict[str, int]
    features: dict[str, list[int]] = field(default_factory=dict)

    def open(self, who: str, **request: Any) -> dict[str, Any]:
        """The answer of /api/review/open."""
        wanted = parse_open(orjson.dumps({"order": "place", **request}))
        with self.database.write() as connection:
            answer = open_tile(connection, self.project, self.people[who], wanted)
        return orjson.loads(orjson.dumps(answer))  # type: ignore[no-any-return]

    def deck(self, who: str, **request: Any) -> dict[str, Any]:
        """The deck of /api/review/open, which must be there."""
        deck = self.open(who, **request)["deck"]
        assert deck is not None
        return deck  # type: ignore[no-any-return]

    def send(self, who: str, *entries: object) -> dict[str, Any]:
        """The answer of /api/review/outbox."""
        with self.database.write() as connection:
            answer = store_outbox(connection, self.project, self.people[who], list(entries))
        return orjson.loads(orjson.dumps(answer))  # type: ignore[no-any-return]

    def feature(self, who: str, tile: str, reference: object) -> dict[str, Any]:
        """One feature as its tile shows it now."""
        return next(each for each in self.deck(who, tile=tile)["features"] if each["id"] == reference)


def lay_ground(database: Database, *, tiles: int = 4, features: int = 4) -> Ground:
    """Tiles in a row from `FIRST` eastwards, `features` predicted buildings on each, none across a border."""
    with database.write() as connection:
        project = create_project(
            connection, "ground", [("building", "polygon"), ("shed", "polygon"), ("road", "line")], zoom=19, seed="s"
        )
        people = {name: annotator_id(connection, name) for name in ("anna", "bob")}
        imagery = connection.execute(
            insert(Imagery)
            .values(project_id=project.id, kind="geotiff", location="/g.tif", info={}, attribution="<b>us</b>")
            .returning(Imagery.id)
        ).scalar_one()
        model = connection.execute(
            insert(Model).values(project_id=project.id, name="first", backend="file").returning(Model.id)
        ).scalar_one()
        run = connection.execute(
            insert(Run).values(project_id=project.id, model_id=model).returning(Run.id)
        ).scalar_one()
        ground = Ground(database, project, people)
        for number in range(tiles):
            tile = Tile(19, FIRST.x + number, FIRST.y)
            tile_id = connection.execute(
                insert(TileTable)
                .values(
                    project_id=project.id,
                    z=tile.z,
                    x=tile.x,
                    y=tile.y,
                    imagery_id=imagery,
                    quadkey=tile.quadkey,
                    shuffle=(number * 7 % tiles) / tiles,
                    uncertainty=number / tiles,
                    split="train",
                )
                .returning(TileTable.id)
            ).scalar_one()
            connection.execute(
                insert(SplitBlock).values(project_id=project.id, z=19, x=tile.x, y=tile.y, split="train")
            )
            ground.features[str(tile)] = [
                _predict(connection, project, run, tile_id, square(tile, place), place / features)
                for place in range(features)
            ]
        record_predictions(connection, project.id, run, 1, HIGHEST_KEY)
    return ground


def _predict(connection: Any, project: ProjectView, run: int, tile_id: int, geometry: Any, score: float) -> int:
    building = project.class_named("building").id
    feature = connection.execute(
        insert(Feature).values(project_id=project.id, class_id=building, geometry=geometry).returning(Feature.id)
    ).scalar_one()
    prediction = connection.execute(
        insert(Prediction)
        .values(
            run_id=run,
            feature_id=feature,
            class_id=building,
            geometry=geometry,
            score=score,
            source_row=0,
            properties={},
        )
        .returning(Prediction.id)
    ).scalar_one()
    connection.execute(update(Feature).where(Feature.id == feature).values(prediction_id=prediction))
    connection.execute(insert(TileFeature).values(tile_id=tile_id, feature_id=feature))
    return int(feature)


def square(tile: Tile, place: int, *, shift: float = 0.0) -> Any:
    """A square on the tile, one of a hundred places; `shift` moves it east by so many tiles."""
    west, south, east, north = tile.bounds
    step_x, step_y = (east - west) / 10, (north - south) / 10
    x, y = west + place % 10 * step_x + shift * (east - west), south + place // 10 * step_y
    return box(x + 0.2 * step_x, y + 0.2 * step_y, x + 0.8 * step_x, y + 0.8 * step_y)


def geojson(geometry: Any) -> dict[str, Any]:
    """A shapely geometry as the browser sends it."""
    return {"type": geometry.geom_type, "coordinates": orjson.loads(orjson.dumps(_coordinates(geometry)))}


def _coordinates(geometry: Any) -> Any:
    if geometry.geom_type == "Polygon":
        return [[list(point) for point in geometry.exterior.coords]]
    return [list(point) for point in geometry.coords]


def decision(tile: str, feature: object, verdict: str, **more: Any) -> dict[str, Any]:
    """A decision entry, as the browser makes it."""
    return {
        "type": "decision",
        "id": str(uuid4()),
        "tile": tile,
        "feature": feature,
        "verdict": verdict,
        "class": "building",
        "seconds": 1.5,
        "madeAt": datetime.now(UTC).isoformat(),
        **more,
    }


def act(tile: str, what: str, **more: Any) -> dict[str, Any]:
    """A tile entry, as the browser makes it."""
    return {
        "type": "tile",
        "id": str(uuid4()),
        "tile": tile,
        "act": what,
        "seconds": 10.0,
        "madeAt": datetime.now(UTC).isoformat(),
        **more,
    }
