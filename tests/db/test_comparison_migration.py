"""A database with decisions from before there were rules keeps them, and their protection."""

import pytest
from shapely.geometry import Point
from sqlalchemy import Table, insert, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from db.chain import find_break, head_of
from db.engine import Database
from db.types import utc_now
from db.upgrade import upgrade
from tests.db.conftest import at_revision

BEFORE = "0001"


@pytest.fixture
def old(blank: Database) -> Database:
    """The first schema, with a decision."""
    tables = at_revision(blank, BEFORE)
    with blank.write() as connection:
        point = bytes(Point(32.5, 0.35).wkb)

        def add(to: str, /, **values: object) -> None:
            table: Table = tables.tables[to]
            connection.execute(insert(table).values(id=1, **values))

        now = utc_now()
        add("annotator", name="anna", created_at=now)
        add("project", name="Town", zoom=19, tile_size=512, seed="s", settings={}, created_at=now)
        add("class", project_id=1, name="b", geometry_type="point", colour="#0072b2", digit=1, definition="")
        place = {"z": 19, "x": 1, "y": 2, "quadkey": "0", "shuffle": 0.5, "uncertainty": 0.0, "split": "train"}
        add("tile", project_id=1, status="open", comment="", **place)
        add("feature", project_id=1, class_id=1, geometry=point, withdrawn=False)
        decision: Table = tables.tables["decision"]
        row = {
            "id": "d", "project_id": 1, "tile_id": 1, "feature_id": 1, "annotator_id": 1, "verdict": "add",
            "class_id": 1, "geometry": point, "seconds": 1.0, "made_at": now, "stored_at": now,
        }  # fmt: skip
        connection.execute(insert(decision).values(**row))
    return blank


def test_decisions_from_before_are_kept_and_still_protected(old: Database) -> None:
    upgrade(old)
    with old.read() as connection:
        assert connection.execute(text("SELECT id, rule_id FROM decision")).all() == [("d", None)]
        assert {each["name"] for each in inspect(connection).get_indexes("decision")} >= {
            "ix_decision_rule_id",
            "ix_decision_speed",
            "ix_decision_tile_id",
        }
    with pytest.raises(DBAPIError, match="decision is append-only"), old.write() as connection:
        connection.execute(text("UPDATE decision SET rule_id = NULL"))


def test_decisions_from_before_there_was_a_chain_are_linked(old: Database) -> None:
    upgrade(old)
    with old.read() as connection:
        assert head_of(connection).position == 1
        assert find_break(connection) is None


def test_a_decision_cannot_name_a_rule_that_there_is_not(old: Database) -> None:
    upgrade(old)
    columns = "project_id, tile_id, feature_id, annotator_id, verdict, class_id, geometry, seconds, made_at, stored_at"
    with pytest.raises(IntegrityError), old.write() as connection:
        connection.execute(
            text(f"INSERT INTO decision (id, rule_id, {columns}) SELECT 'e', 99, {columns} FROM decision")
        )
