"""How much of a tile has pixels is measured once, kept with the tile, and known to everybody who asks."""

from collections.abc import Callable

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from sqlalchemy import insert, select, true

from db.models import Imagery
from db.models import Tile as TileRow
from maploop.database import Database
from maploop.errors import ImageryError
from maploop.imagery.info import ImagerySource, SourceInfo
from maploop.imagery.pixel_records import (
    PixelCounts,
    count_pixels,
    measure_tiles,
    pixel_coverages,
    record_coverage,
    without_pixels,
)
from maploop.imagery.pixels import MASK_SIDE, coverage_of
from maploop.imagery.tilemath import Tile, from_pixels
from maploop.imagery.tiles import cover, ensure_tiles
from maploop.project import ProjectView, create_project
from maploop.vectors.geometry import as_geometries

FIRST = Tile(19, 309_608, 261_632)
SIDE = 512


def pixels(of: Callable[[NDArray[np.uint8]], None]) -> NDArray[np.uint8]:
    """Grey RGBA pixels of a tile, made transparent in part by a function that is given the alpha."""
    rgba = np.full((SIDE, SIDE, 4), 255, dtype=np.uint8)
    rgba[..., :3] = 90
    of(rgba[..., 3])
    return rgba


def west_half(alpha: NDArray[np.uint8]) -> None:
    alpha[:, SIDE // 2 :] = 0


class Torn:
    """Imagery by column of tiles: whole, the western half, nothing, a server that fails."""

    def __init__(self) -> None:
        self.info = SourceInfo("xyz", "https://tiles.example.org", None, 0, 19)
        self.fingerprint = "torn"
        self.reads = 0

    def read(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        self.reads += 1
        rgba = np.full((size, size, 4), 255, dtype=np.uint8)
        match tile.x - FIRST.x:
            case 1:
                rgba[:, size // 2 :] = 0
            case 2:
                rgba[:] = 0
            case 3:
                msg = "the key has expired"
                raise ImageryError(msg, reason="refused", status=403)
        return rgba


@pytest.fixture
def project(database: Database) -> ProjectView:
    """A project of five tiles in a row, the first four with imagery."""
    with database.write() as connection:
        view = create_project(connection, "torn", [("building", "polygon")], zoom=19)
        statement = (
            insert(Imagery)
            .values(project_id=view.id, kind="xyz", location="torn", info=Torn().info.to_json())
            .returning(Imagery.id)
        )
        imagery_id = connection.execute(statement).scalar_one()
        ensure_tiles(connection, view, [Tile(19, FIRST.x + column, FIRST.y) for column in range(4)], imagery_id)
        ids = ensure_tiles(connection, view, [Tile(19, FIRST.x + 4, FIRST.y)])
        cover(connection, ids, None)
    return view


def test_tiles_are_measured_once_and_counted_by_what_is_known(database: Database, project: ProjectView) -> None:
    source = Torn()

    def sources(_: int) -> ImagerySource:
        return source

    with database.read() as connection:
        assert count_pixels(connection, project) == PixelCounts(0, 4, 0, 1, 0)
    failures = measure_tiles(database, project, true(), sources)
    assert [(tile.x - FIRST.x, error.reason, error.status) for tile, error in failures.items()] == [(3, "refused", 403)]
    with database.read() as connection:
        assert count_pixels(connection, project) == PixelCounts(2, 1, 1, 1, 1)
        bare = connection.execute(select(TileRow.x).where(without_pixels()).order_by(TileRow.x)).scalars()
        assert [x - FIRST.x for x in bare] == [2, 4]
        tiles = [Tile(19, FIRST.x + column, FIRST.y) for column in range(6)]
        known = pixel_coverages(connection, project, tiles)
    assert [None if (each := known[tile]) is None else each.share for tile in tiles[:5]] == [1.0, 0.5, 0.0, None, 0.0]
    assert tiles[5] not in known
    measured = source.reads
    measure_tiles(database, project, true(), sources)
    assert source.reads == measured + 1  # the one that failed, and no other


def test_other_imagery_makes_a_tile_unmeasured(database: Database, project: ProjectView) -> None:
    measure_tiles(database, project, true(), lambda _: Torn())
    with database.write() as connection:
        row = connection.execute(select(TileRow.id, TileRow.imagery_id).where(TileRow.x == FIRST.x + 2)).one()
        cover(connection, [row.id], row.imagery_id)
        assert pixel_coverages(connection, project, [Tile(19, FIRST.x + 2, FIRST.y)]) == {
            Tile(19, FIRST.x + 2, FIRST.y): None
        }


def test_what_was_rendered_is_kept_for_the_imagery_that_covers_the_tile(
    database: Database, project: ProjectView
) -> None:
    seen = coverage_of(pixels(west_half))
    with database.write() as connection:
        imagery_id = connection.execute(select(Imagery.id)).scalar_one()
        record_coverage(connection, project.id, imagery_id, FIRST, seen, "torn")
        record_coverage(connection, project.id, imagery_id + 1, Tile(19, FIRST.x + 1, FIRST.y), seen, "torn")
        record_coverage(connection, project.id, imagery_id, Tile(19, 1, 1), seen, "torn")
        assert pixel_coverages(connection, project, [FIRST]) == {FIRST: seen}
        assert count_pixels(connection, project).unmeasured == 3


def test_a_mask_knows_where_pixels_are() -> None:
    def hole(alpha: NDArray[np.uint8]) -> None:
        alpha[100:200, 300:500] = 0

    coverage = coverage_of(pixels(hole))
    assert coverage.share == 1 - 100 * 200 / SIDE**2
    assert coverage.cells().shape == (MASK_SIDE, MASK_SIDE)
    assert coverage.ground().area == pytest.approx(coverage.share, abs=0.001)
    drawn = [
        shapely.box(310, 110, 350, 150),  # wholly in the hole
        shapely.box(280, 110, 350, 150),  # half in it
        shapely.box(20, 20, 40, 40),
        shapely.box(600, 20, 640, 40),  # on the tile beside it
        shapely.LineString([(310, 110), (490, 190)]),
        shapely.LineString([(310, 110), (490, 290)]),
        shapely.Point(400, 150),
        shapely.Point(50, 150),
    ]
    features = as_geometries([from_pixels(each, FIRST, SIDE) for each in drawn])
    assert coverage.under(features, FIRST).tolist() == [False, True, True, False, False, True, False, True]
    assert not coverage_of(pixels(lambda alpha: alpha.fill(0))).under(features, FIRST).any()
