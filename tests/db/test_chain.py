"""The hash chain over decisions and tile events: the first break is found, and the row named."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from shapely.geometry import Point
from sqlalchemy import Connection, func, insert, select, text

from db import chain
from db.chain import Break, find_break
from db.engine import Database, connect
from db.models import ChainLink, Decision, TileEvent
from db.types import utc_now
from db.upgrade import upgrade
from tests.db.conftest import add_one_of_each


def decide(connection: Connection, count: int = 1) -> None:
    """More decisions on the one feature that there is."""
    for _ in range(count):
        row = {"id": str(uuid4()), "project_id": 1, "tile_id": 1, "feature_id": 1, "annotator_id": 1, "class_id": 1}
        more = {"verdict": "accept", "geometry": Point(32.5, 0.35), "seconds": 0.1 + 0.2, "made_at": utc_now()}
        connection.execute(insert(Decision).values(**row, **more))


def finish(connection: Connection) -> None:
    connection.execute(insert(TileEvent).values(id=str(uuid4()), tile_id=1, annotator_id=1, act="complete"))


@pytest.fixture
def history(database: Database) -> Database:
    """Five decisions and two tile events, in four transactions."""
    with database.write() as connection:
        add_one_of_each(connection)
    with database.write() as connection:
        decide(connection, 2)
    with database.write() as connection:
        finish(connection)
    with database.write() as connection:
        decide(connection, 2)
    return database


def broken(database: Database) -> Break | None:
    with database.read() as connection:
        return find_break(connection)


def links(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(ChainLink)).scalar_one()


def past_the_guards(database: Database, *statements: str) -> None:
    """Change rows as somebody does who owns the file, or the tables."""
    with database.engine.connect() as connection, connection.begin():
        if database.is_sqlite:
            names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all()
            for name in names:
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            for table in ("decision", "tile_event", "annotator", "class", "chain_link"):
                connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for statement in statements:
            connection.execute(text(statement))


def test_every_decision_and_event_is_linked_in_the_transaction_that_adds_it(history: Database) -> None:
    assert links(history) == 7
    assert broken(history) is None


def test_what_is_taken_back_leaves_no_link(history: Database) -> None:
    def decide_and_fail() -> None:
        with history.write() as connection:
            decide(connection)
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        decide_and_fail()
    with history.write() as connection:
        decide(connection)
    assert links(history) == 8
    assert broken(history) is None


def test_what_is_added_in_bulk_is_linked_in_parts(history: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "_PART", 3)
    with history.write() as connection:
        decide(connection, 6)
        finish(connection)
        decide(connection, 1)
    assert links(history) == 15
    assert broken(history) is None


@pytest.mark.parametrize(
    ("change", "table", "seq", "reason"),
    [
        ("UPDATE decision SET verdict = 'reject' WHERE seq = 3", "decision", 3, "changed"),
        ("UPDATE decision SET seconds = 0.31 WHERE seq = 2", "decision", 2, "changed"),
        ("UPDATE tile_event SET act = 'approve' WHERE seq = 2", "tile_event", 2, "changed"),
        ("UPDATE annotator SET name = 'mallory'", "decision", 1, "changed"),
        ("UPDATE class SET name = 'road'", "decision", 1, "changed"),
        ("DELETE FROM decision WHERE seq = 4", "decision", 4, "removed"),
        ("DELETE FROM chain_link WHERE position = 3", "chain_link", 3, "missing"),
    ],
)
def test_the_first_row_that_was_tampered_with_is_named(
    history: Database, change: str, table: str, seq: int, reason: str
) -> None:
    past_the_guards(history, change)
    found = broken(history)
    assert found is not None
    assert (found.table, found.seq) == (table, seq)
    assert reason in found.reason


def test_a_row_slipped_in_past_maploop_is_named_also_after_maploop_has_written_on(history: Database) -> None:
    columns = "project_id, tile_id, feature_id, annotator_id, verdict, class_id, geometry, seconds, made_at, stored_at"
    past_the_guards(
        history, f"INSERT INTO decision (id, {columns}) SELECT 'forged', {columns} FROM decision WHERE seq = 1"
    )
    with history.write() as connection:
        decide(connection)
    found = broken(history)
    assert found is not None
    with history.read() as connection:
        assert connection.execute(select(Decision.id).where(Decision.seq == found.seq)).scalar_one() == "forged"
    assert "past Maploop" in found.reason


@pytest.mark.postgres
def test_writers_at_once_leave_one_chain_in_postgresql(postgresql_url: str) -> None:
    databases = [connect(postgresql_url) for _ in range(4)]
    with databases[0].write() as connection:
        add_one_of_each(connection)

    def work(database: Database) -> None:
        for number in range(10):
            with database.write() as connection:
                decide(connection, 1 + number % 3)
                with connection.begin_nested():
                    finish(connection)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, databases))
    assert links(databases[0]) == 2 + 4 * (19 + 10)
    assert broken(databases[0]) is None
    for database in databases:
        database.close()


def test_both_kinds_of_database_hash_the_same_bytes(tmp_path: Path, postgresql_url: str) -> None:
    moment = utc_now()
    found = []
    for url in (f"sqlite:///{tmp_path / 'a.sqlite'}", postgresql_url):
        database = connect(url)
        upgrade(database)
        with database.write() as connection:
            add_one_of_each(connection)
            row = {"id": "d", "project_id": 1, "tile_id": 1, "feature_id": 1, "annotator_id": 1, "class_id": 1}
            more = {"verdict": "accept", "geometry": Point(1 / 3, 0.35), "seconds": 0.1 + 0.2}
            connection.execute(insert(Decision).values(**row, **more, made_at=moment, stored_at=moment))
        with database.read() as connection:
            (entry,) = chain._rows_named(connection, [("decision", 2)]).values()
            found.append(chain.canonical(entry))
        database.close()
    assert found[0] == found[1]
