"""Tiles of a project from before split blocks were kept stay on their side; blocks to come are balanced."""

from sqlalchemy import func, insert, select, text

from db.engine import Database
from db.models import Tile as TileRow
from db.types import utc_now
from db.upgrade import upgrade
from maploop.imagery.tilemath import Tile
from maploop.imagery.tiles import ensure_tiles
from maploop.project import load_project
from tests.db.conftest import at_revision

BEFORE = "0004"


def test_tiles_from_before_stay_on_their_side_and_blocks_to_come_are_balanced(blank: Database) -> None:
    """At first a hash decided each block of 4 x 4 tiles: here all of them are for training."""
    tables = at_revision(blank, BEFORE)
    with blank.write() as connection:
        settings = {"block_zoom_offset": 2, "test_share": 0.2, "validation_share": 0.1}
        for number, name in enumerate(("Old", "Bare"), start=1):
            row = {"id": number, "name": name, "zoom": 19, "tile_size": 512, "seed": "s", "settings": settings}
            connection.execute(insert(tables.tables["project"]).values(**row, created_at=utc_now()))
        for x in range(16):
            place = {"z": 19, "x": x, "y": 0, "quadkey": f"{x:04}", "shuffle": 0.5, "uncertainty": 0.0}
            tile = {**place, "project_id": 1, "split": "train", "status": "open", "comment": ""}
            connection.execute(insert(tables.tables["tile"]).values(id=x + 1, **tile))
    upgrade(blank)
    with blank.write() as connection:
        old, bare = (load_project(connection, name) for name in ("Old", "Bare"))
        assert (old.settings.block_zoom_offset, bare.settings.block_zoom_offset) == (2, None)
        blocks = connection.execute(text("SELECT z, x, y, split FROM split_block ORDER BY x")).all()
        assert [tuple(row) for row in blocks] == [(17, x, 0, "train") for x in range(4)]
        if not blank.is_sqlite:  # ids were given by hand
            connection.execute(text("SELECT setval(pg_get_serial_sequence('tile', 'id'), 100)"))
        ensure_tiles(connection, old, [Tile(19, x, y) for x in range(16) for y in (0, 4)])
        sides = select(TileRow.y, TileRow.split, func.count()).group_by(TileRow.y, TileRow.split)
        found = {(y, split): count for y, split, count in connection.execute(sides)}
    assert found[0, "train"] == 16
    assert found[4, "test"] >= 4
    assert found[4, "validation"] == 4
