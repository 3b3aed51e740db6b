"""A finished project for the tests of exports: tiles of all splits, features of all kinds, across borders and not."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, insert, update

from db.models import Decision, Feature, Imagery, Model, Prediction, Run, TileFeature
from db.models import Tile as TileRow
from db.types import utc_now
from maploop.database import Database
from maploop.dataset.split import Split
from maploop.errors import ImageryError
from maploop.imagery.info import ImagerySource, SourceInfo
from maploop.imagery.tilemath import Tile, from_pixels
from maploop.project import ProjectView, annotator_id, create_project
from maploop.vectors.geometry import as_geometries, split_by_tiles

FIRST = Tile(19, 309_608, 261_632)
SPLITS: tuple[Split, ...] = ("train", "train", "validation", "test")


class Painted:
    """Imagery whose pixels say which tile they are of; columns in `bare` have none, in `torn` the west half."""

    bare: frozenset[int] = frozenset()
    torn: frozenset[int] = frozenset()
    failing: frozenset[int] = frozenset()

    def __init__(self, fingerprint: str = "painted") -> None:
        self.info = SourceInfo("geotiff", "/painted.tif", None, 0, 20)
        self.fingerprint = fingerprint

    def read(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        rgba = np.full((size, size, 4), 255, dtype=np.uint8)
        rgba[..., 0] = tile.x % 251
        rgba[..., 1] = np.arange(size) % 256
        if tile.x in self.failing:
            msg = f"no answer about {tile}"
            raise ImageryError(msg, reason="refused", status=403)
        if tile.x in self.bare:
            rgba[:] = 0
        if tile.x in self.torn:
            rgba[:, size // 2 :] = 0
        return rgba


@dataclass
class Ground:
    """The project, and the ids of what lies on it."""

    database: Database
    project: ProjectView
    imagery_id: int
    annotator_id: int
    run_id: int
    model_id: int
    tiles: dict[Tile, int] = field(default_factory=dict)
    painted: Painted = field(default_factory=Painted)

    def sources(self, imagery_id: int) -> ImagerySource:
        """The imagery of the project; no other opens."""
        if imagery_id != self.imagery_id:
            msg = f"imagery {imagery_id} is gone"
            raise ImageryError(msg)
        return self.painted

    def change(self, statement: Any) -> None:
        """Run one statement in a transaction of its own."""
        with self.database.write() as connection:
            connection.execute(statement)

    def feature(
        self,
        class_name: str,
        geometry: BaseGeometry,
        verdict: str | None,
        *,
        predicted: BaseGeometry | None = None,
        predicted_class: str | None = None,
    ) -> int:
        """Put a feature (EPSG:4326) on the tiles it touches; a prediction of its own unless it was added."""
        with self.database.write() as connection:
            return self._feature(connection, class_name, geometry, verdict, predicted or geometry, predicted_class)

    def _feature(
        self,
        connection: Connection,
        class_name: str,
        geometry: BaseGeometry,
        verdict: str | None,
        predicted: BaseGeometry,
        predicted_class: str | None,
    ) -> int:
        class_id = self.project.class_named(class_name).id
        feature_id = connection.execute(
            insert(Feature)
            .values(project_id=self.project.id, class_id=class_id, geometry=geometry, verdict=verdict)
            .returning(Feature.id)
        ).scalar_one()
        prediction_id = None
        if verdict != "add":
            prediction_id = connection.execute(
                insert(Prediction)
                .values(
                    run_id=self.run_id,
                    feature_id=feature_id,
                    class_id=self.project.class_named(predicted_class or class_name).id,
                    geometry=predicted,
                    score=0.5,
                    source_row=0,
                    properties={},
                )
                .returning(Prediction.id)
            ).scalar_one()
        touched = split_by_tiles(as_geometries([geometry]), self.project.zoom)
        tiles = [Tile(self.project.zoom, x, y) for x, y in zip(touched.x.tolist(), touched.y.tolist(), strict=True)]
        for tile in tiles:
            if tile in self.tiles:
                connection.execute(insert(TileFeature).values(tile_id=self.tiles[tile], feature_id=feature_id))
        if verdict:
            connection.execute(
                insert(Decision).values(
                    id=f"decision-{feature_id}",
                    project_id=self.project.id,
                    tile_id=next(self.tiles[tile] for tile in tiles if tile in self.tiles),
                    feature_id=feature_id,
                    prediction_id=prediction_id,
                    model_id=self.model_id,
                    annotator_id=self.annotator_id,
                    verdict=verdict,
                    class_id=class_id,
                    geometry=geometry,
                    seconds=1.0,
                    made_at=utc_now(),
                )
            )
        connection.execute(
            update(Feature)
            .where(Feature.id == feature_id)
            .values(prediction_id=prediction_id, decision_id=f"decision-{feature_id}" if verdict else None)
        )
        return int(feature_id)


def lay_ground(database: Database, *, may_train: bool = True, splits: tuple[Split, ...] = SPLITS) -> Ground:
    """Approved tiles in a row from `FIRST` eastwards, without features; anna finished them."""
    with database.write() as connection:
        project = create_project(
            connection,
            "town",
            [("building", "polygon"), ("road", "line"), ("tree", "point")],
            zoom=19,
            seed="s",
            definitions={"building": "Anything with a roof."},
        )
        anna = annotator_id(connection, "anna")
        imagery_id = connection.execute(
            insert(Imagery)
            .values(
                project_id=project.id,
                kind="geotiff",
                location="/secret/place/town.tif",
                info={},
                attribution="© the <b>town</b>",
                licence="CC-BY-4.0",
                may_train=may_train,
            )
            .returning(Imagery.id)
        ).scalar_one()
        model_id = connection.execute(
            insert(Model).values(project_id=project.id, name="first", backend="file").returning(Model.id)
        ).scalar_one()
        run_id = connection.execute(
            insert(Run).values(project_id=project.id, model_id=model_id).returning(Run.id)
        ).scalar_one()
        ground = Ground(database, project, imagery_id, anna, run_id, model_id)
        for number, split in enumerate(splits):
            tile = Tile(FIRST.z, FIRST.x + number, FIRST.y)
            ground.tiles[tile] = connection.execute(
                insert(TileRow)
                .values(
                    project_id=project.id,
                    z=tile.z,
                    x=tile.x,
                    y=tile.y,
                    imagery_id=imagery_id,
                    quadkey=tile.quadkey,
                    shuffle=0.5,
                    split=split,
                    status="approved",
                    finished_by=anna,
                    finished_at=utc_now(),
                )
                .returning(TileRow.id)
            ).scalar_one()
    return ground


def on_tile(number: int, pixels: BaseGeometry) -> BaseGeometry:
    """A geometry drawn in the 512 pixels of the tile so many east of `FIRST`, on the ground."""
    return from_pixels(pixels, Tile(FIRST.z, FIRST.x + number, FIRST.y), 512)


def furnish(ground: Ground) -> dict[str, int]:
    """Features of every kind -> their ids by what they are."""
    box = shapely.box
    courtyard = shapely.Polygon(box(100, 100, 200, 200).exterior, [box(130, 130, 170, 170).exterior])
    return {
        "accepted": ground.feature("building", on_tile(0, box(10, 10, 60, 60)), "accept"),
        "corrected": ground.feature(
            "building", on_tile(0, courtyard), "correct", predicted=on_tile(0, box(90, 90, 190, 190))
        ),
        "rejected": ground.feature("building", on_tile(0, box(300, 300, 350, 350)), "reject"),
        "across": ground.feature("building", on_tile(0, box(480, 300, 560, 360)), "accept"),
        "road": ground.feature("road", on_tile(0, shapely.LineString([(20, 400), (1000, 420)])), "accept"),
        "tree": ground.feature("tree", on_tile(1, shapely.Point(100, 100)), "add"),
        "validated": ground.feature("building", on_tile(2, box(50, 50, 90, 90)), "accept"),
        "leaking": ground.feature("building", on_tile(2, box(490, 100, 540, 150)), "accept"),
        "tested": ground.feature("building", on_tile(3, box(200, 200, 290, 290)), "accept"),
    }
