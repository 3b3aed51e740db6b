"""Imagery from before there was a right to leave: that which must not train stays here."""

from sqlalchemy import insert, select

from db.engine import Database
from db.models import Imagery, Tile
from db.types import utc_now
from db.upgrade import upgrade
from tests.db.conftest import at_revision


def test_imagery_of_an_older_database_that_must_not_train_stays_here(blank: Database) -> None:
    tables = at_revision(blank, "0004")
    with blank.write() as connection:
        now = utc_now()
        project = {"id": 1, "name": "Town", "zoom": 19, "tile_size": 512, "seed": "s", "settings": {}}
        connection.execute(insert(tables.tables["project"]).values(created_at=now, **project))
        plain = {"project_id": 1, "kind": "xyz", "info": {}, "attribution": "", "licence": "", "created_at": now}
        rows = [{"location": "a", "may_train": False, **plain}, {"location": "b", "may_train": True, **plain}]
        connection.execute(insert(tables.tables["imagery"]), rows)
        place = {"z": 19, "x": 1, "y": 2, "quadkey": "0", "shuffle": 0.5, "uncertainty": 0.0, "split": "train"}
        tile = {"project_id": 1, "imagery_id": 1, "status": "open", "comment": "", **place}
        connection.execute(insert(tables.tables["tile"]).values(**tile))
    upgrade(blank)
    with blank.read() as connection:
        rights = dict(connection.execute(select(Imagery.location, Imagery.may_leave)).all())
        assert connection.execute(select(Tile.imagery_id)).scalars().all() == [1]
    assert rights == {"a": False, "b": True}
