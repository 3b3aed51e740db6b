"""A project on painted ground: red houses on green, decided and approved, on tiles of all splits."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.transform import from_bounds
from shapely.geometry.base import BaseGeometry
from sqlalchemy import select, update

from db.models import Imagery
from db.models import Tile as TileRow
from maploop.database import Database
from maploop.dataset.datasets import DatasetView, freeze
from maploop.dataset.split import Split
from maploop.imagery.info import ImagerySource, SourceInfo
from maploop.imagery.source import describe
from maploop.imagery.tilemath import Tile, from_pixels
from maploop.predict.models import list_models
from maploop.project import GeometryType, ProjectView
from maploop.sample.town import write_features
from maploop.tune.jobs import JobView, list_jobs
from tests.builders import CORNER, PlacedTile, a_decision, a_person, a_project, a_tile, some_imagery

SIZE = 512
CLASSES: tuple[tuple[str, GeometryType], ...] = (("building", "polygon"),)
SPLITS: tuple[Split, ...] = ("train", "train", "validation", "test")
ENOUGH_TO_TUNE: tuple[Split, ...] = ("train",) * 10 + ("validation",) * 2 + ("test",)


def houses(column: int) -> list[tuple[int, int, int, int]]:
    """Left, top, right, bottom of the houses of a tile, in its pixels."""
    rng = np.random.default_rng(column)
    boxes = []
    for row in range(4):
        for place in range(4):
            left, top = place * 128 + rng.integers(10, 50), row * 128 + rng.integers(10, 50)
            boxes.append((int(left), int(top), int(left + rng.integers(40, 64)), int(top + rng.integers(40, 64))))
    return boxes


def outlines(column: int) -> list[BaseGeometry]:
    """The same houses on the ground, EPSG:4326."""
    tile = Tile(CORNER.z, CORNER.x + column, CORNER.y)
    return [from_pixels(shapely.box(*box), tile, SIZE) for box in houses(column)]


class Painted:
    """Imagery that shows the houses; `read_tiles` are the tiles somebody looked at."""

    def __init__(self) -> None:
        self.info = SourceInfo("geotiff", "/painted.tif", None, 0, 20)
        self.fingerprint = "painted"
        self.read_tiles: set[Tile] = set()

    def read(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        self.read_tiles.add(tile)
        rng = np.random.default_rng(tile.x)
        rgba = np.full((size, size, 4), (90, 120, 60, 255), dtype=np.uint8)
        for left, top, right, bottom in houses(tile.x - CORNER.x):
            rgba[top:bottom, left:right, :3] = (180, 70, 50)
        noise = rng.integers(-12, 12, (size, size, 1))
        rgba[..., :3] = np.clip(rgba[..., :3].astype(np.int16) + noise, 0, 255)
        return rgba


@dataclass
class Ground:
    """The project, its tiles by split, and its pixels."""

    database: Database
    project: ProjectView
    painted: Painted
    splits: tuple[Split, ...]

    def sources(self, _imagery_id: int) -> ImagerySource:
        """The painted ground."""
        return self.painted

    def tile(self, column: int) -> Tile:
        """The tile so many east of the corner."""
        return Tile(CORNER.z, CORNER.x + column, CORNER.y)

    def freeze(self) -> DatasetView:
        """A dataset of all its tiles; that each was looked at for its pixels is forgotten."""
        dataset = freeze(self.database, self.project, annotator="anna", sources=self.sources)
        self.painted.read_tiles.clear()
        return dataset


def lay_open_ground(database: Database, *, splits: tuple[Split, ...]) -> Ground:
    """Tiles in a row that nobody has looked at."""
    with database.write() as connection:
        project = a_project(connection, classes=CLASSES)
        some_imagery(connection, project, may_train=True)
        for column, split in enumerate(splits):
            a_tile(connection, project, column, split=split)
    return Ground(database, project, Painted(), splits)


def lay_ground(database: Database, *, may_train: bool = True, splits: tuple[Split, ...] = SPLITS) -> Ground:
    """Approved tiles in a row, with all their houses drawn by anna."""
    with database.write() as connection:
        project = a_project(connection, classes=CLASSES)
        anna = a_person(connection, "anna")
        some_imagery(connection, project, may_train=may_train)
        for column, split in enumerate(splits):
            tile: PlacedTile = a_tile(connection, project, column, split=split, status="approved", finished_by=anna)
            for outline in outlines(column):
                a_decision(connection, project, tile, None, "add", anna, geometry=outline)
        assert connection.execute(select(TileRow.id)).first()
    return Ground(database, project, Painted(), splits)


def only_job(ground: Ground) -> JobView:
    """The only training there is."""
    with ground.database.read() as connection:
        (job,) = list_jobs(connection, ground.project)
    return job


def models_of(ground: Ground) -> list[str]:
    """The names of the project's models."""
    with ground.database.read() as connection:
        return [each.name for each in list_models(connection, ground.project)]


def put_on_disk(ground: Ground, folder: Path) -> None:
    """Have the ground's pixels in a file, where other processes find them."""
    imagery, _ = painted_files(folder, len(ground.splits))
    with ground.database.write() as connection:
        connection.execute(
            update(Imagery).values(kind="geotiff", location=str(imagery), info=describe(imagery).to_json())
        )


def painted_files(folder: Path, tiles: int) -> tuple[Path, Path]:
    """A GeoTIFF of so many tiles, and a GeoJSON with the outlines of its houses."""
    painted = Painted()
    row = [Tile(CORNER.z, CORNER.x + column, CORNER.y) for column in range(tiles)]
    picture = np.concatenate([painted.read(tile, SIZE) for tile in row], axis=1)[..., :3]
    left, bottom, _, top = row[0].mercator_bounds
    right = row[-1].mercator_bounds[2]
    imagery = folder / "houses.tif"
    profile = {"driver": "GTiff", "width": tiles * SIZE, "height": SIZE, "count": 3, "dtype": "uint8"}
    transform = from_bounds(left, bottom, right, top, tiles * SIZE, SIZE)
    with rasterio.open(imagery, "w", **profile, crs="EPSG:3857", transform=transform) as raster:
        raster.write(np.moveaxis(picture, 2, 0))
    truth = folder / "truth.geojson"
    write_features(
        truth,
        ((outline, {"class": "building"}) for column in range(tiles) for outline in outlines(column)),
    )
    return imagery, truth
