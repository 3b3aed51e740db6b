"""A row of tiles, and a model that answers what a test wants."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from db.models import Prediction, RunTile
from db.models import Tile as TileRow
from maploop.database import Database
from maploop.imagery.info import SourceInfo
from maploop.imagery.tilemath import Tile
from maploop.predict.history import RunView, list_runs
from maploop.predict.predictor import Assignment, Failure, FoundFeature, Outcome, Usage
from maploop.project import ProjectView
from tests.builders import CORNER, PlacedTile, shape_on

TILES = 8


@dataclass
class FakePredictor:
    """Finds one building in the place of the tile that it was told, and uses 100 tokens for a cent a tile."""

    place: int = 0
    score: float | None = 0.9
    batch: int = 2
    failing: Collection[Tile] = ()
    empty: Collection[Tile] = ()
    dies_after: int | None = None
    class_names: Collection[str] = ("building",)
    prompt_hash: str = "asked"
    asked: list[Tile] = field(default_factory=list)

    def predict(self, assignment: Assignment) -> Iterator[Sequence[Outcome]]:
        tiles = list(assignment.tiles)
        for start in range(0, len(tiles), self.batch):
            if assignment.stopped():
                return
            if self.dies_after is not None and len(self.asked) >= self.dies_after:
                raise Killed
            some = tiles[start : start + self.batch]
            self.asked += some
            yield [self.outcome(tile) for tile in some]

    def outcome(self, tile: Tile) -> Outcome:
        used = Usage(input_tokens=90, output_tokens=10, cost=0.01, seconds=0.5)
        if tile in self.failing:
            return Outcome(tile, failure=Failure("refused", "It will not say."), usage=used)
        if tile in self.empty:
            return Outcome(tile, usage=used)
        return Outcome(
            tile, (FoundFeature("building", shape_on(PlacedTile(0, tile), self.place), self.score),), usage=used
        )


class Killed(BaseException):
    """The process dies: nothing catches this."""


class Grey:
    """Imagery without anything on it."""

    def __init__(self) -> None:
        self.info = SourceInfo("geotiff", "/grey.tif", None, 0, 20)
        self.fingerprint = "grey"

    def read(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        return np.full((size, size, 4), 255, dtype=np.uint8)


def tile_at(column: int) -> Tile:
    """The tile so many east of the corner."""
    return Tile(CORNER.z, CORNER.x + column, CORNER.y)


def only_run(database: Database, project: ProjectView) -> RunView:
    """The only run there is."""
    with database.read() as connection:
        (run,) = list_runs(connection, project)
    return run


def statuses(connection: Connection, run_id: int) -> dict[Tile, str]:
    """What became of the tiles of a run."""
    rows = connection.execute(
        select(TileRow.z, TileRow.x, TileRow.y, RunTile.status)
        .join(RunTile, RunTile.tile_id == TileRow.id)
        .where(RunTile.run_id == run_id)
    )
    return {Tile(row.z, row.x, row.y): row.status for row in rows}


def predictions_of(connection: Connection, run_id: int) -> int:
    """How many predictions a run has."""
    return len(connection.execute(select(Prediction.id).where(Prediction.run_id == run_id)).all())
