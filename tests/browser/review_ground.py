"""A project to review in the browser: real pixels under a row of tiles, predictions on them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_bounds
from shapely import transform
from sqlalchemy import select

from db.engine import Database, connect
from db.models import Decision, Tile, TileEvent
from maploop.imagery.register import register_imagery
from maploop.project import ProjectView
from tests.builders import CLASSES, CORNER, PlacedTile, a_prediction, a_project, shape_on

PIXELS = 256  # a tile


def paint(path: Path, columns: int, rows: int = 1) -> Path:
    """A GeoTIFF over tiles from `CORNER` east and south: fields of different greens, each tile its own."""
    west, _, _, north = CORNER.mercator_bounds
    last = type(CORNER)(CORNER.z, CORNER.x + columns - 1, CORNER.y + rows - 1)
    _, south, east, _ = last.mercator_bounds
    width, height = columns * PIXELS, rows * PIXELS
    y, x = np.mgrid[0:height, 0:width]
    fields = ((x // 32) * 7 + (y // 32) * 13) % 11
    noise = np.random.default_rng(1).integers(0, 18, (height, width))
    bands = [60 + fields * 9 + noise, 90 + fields * 8 + noise, 55 + fields * 5 + noise]
    profile: dict[str, Any] = {"driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8"}
    transformed = from_bounds(west, south, east, north, width, height)
    with rasterio.open(path, "w", crs="EPSG:3857", transform=transformed, **profile) as dataset:
        dataset.write(np.stack(bands).astype(np.uint8))
    return path


@dataclass
class Ground:
    """The project and its tiles, westernmost first; reads what the app stored."""

    database: Database
    project: ProjectView
    tiles: list[PlacedTile]

    def decisions(self) -> list[Any]:
        """All decisions, oldest first."""
        with self.database.read() as connection:
            return list(connection.execute(select(Decision.__table__).order_by(Decision.seq)).mappings())

    def verdicts(self) -> list[str]:
        """Their verdicts."""
        return [each["verdict"] for each in self.decisions()]

    def acts(self) -> list[str]:
        """What was said about whole tiles, oldest first."""
        with self.database.read() as connection:
            return list(connection.execute(select(TileEvent.act).order_by(TileEvent.seq)).scalars())

    def statuses(self) -> list[str]:
        """The status of each tile."""
        with self.database.read() as connection:
            found = dict(connection.execute(select(Tile.id, Tile.status)).all())
        return [found[each.id] for each in self.tiles]


def lay(
    data: Path,
    *,
    tiles: int = 3,
    features: int | list[int] = 4,
    classes: Any = CLASSES,
    class_names: tuple[str | None, ...] = (None,),
    attribution: str = "Test imagery",
    wobble: bool = False,
    properties: dict[str, str] | None = None,
    **settings: Any,
) -> Ground:
    """Tiles in a row, `features` predictions on each, which take turns through `class_names`, most uncertain first.

    `data` is the data folder of an app that has started already: it makes the database.
    """
    database = connect(f"sqlite:///{data / 'maploop.sqlite'}")
    picture = paint(data / "ground.tif", tiles)
    with database.write() as connection:
        project = a_project(connection, classes=classes, **settings)
    register_imagery(database, project, picture, attribution=attribution)
    ground = Ground(database, project, [])
    with database.write() as connection:
        for column in range(tiles):
            address = type(CORNER)(CORNER.z, CORNER.x + column, CORNER.y)
            tile_id = connection.execute(
                select(Tile.id).where(Tile.project_id == project.id, Tile.x == address.x, Tile.y == address.y)
            ).scalar_one()
            tile = PlacedTile(tile_id, address)
            ground.tiles.append(tile)
            count = features if isinstance(features, int) else features[column]
            for place in range(count):
                name = class_names[place % len(class_names)]
                each = project.class_named(name) if name else project.classes[0]
                geometry = shape_on(tile, place * 3 % 100 if count <= 33 else place, each.geometry_type)
                if wobble and each.geometry_type == "polygon":
                    geometry = _many_cornered(geometry)
                score = round(0.5 + place / max(count, 1) * 0.49, 3)
                a_prediction(
                    connection, project, tile, class_name=each.name, geometry=geometry, score=score,
                    properties=properties or {"source": "test", "row": str(place)},
                )  # fmt: skip
    return ground


def _many_cornered(geometry: Any) -> Any:
    """The same place as an outline of 16 corners, as models draw them."""
    circle = geometry.centroid.buffer(1.0, quad_segs=4)
    west, south, east, north = geometry.bounds
    middle = np.array([(west + east) / 2, (south + north) / 2])
    return transform(circle, lambda points: middle + (points - middle) * [(east - west) / 2, (north - south) / 2])
