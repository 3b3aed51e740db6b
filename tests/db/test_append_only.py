"""What was predicted, decided, measured and promoted can be added to, and never changed."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from db import guards
from db.engine import Database
from db.shared import shared
from tests.db.conftest import add_one_of_each

TABLES = ("prediction", "decision", "tile_event", "evaluation", "promotion")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", ["UPDATE {table} SET id = id", "DELETE FROM {table}"])
def test_a_row_once_written_cannot_be_changed_or_removed(database: Database, table: str, change: str) -> None:
    with database.write() as connection:
        add_one_of_each(connection)
    with pytest.raises(DBAPIError, match=f"{table} is append-only"), database.write() as connection:
        connection.execute(text(change.format(table=table)))
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(text(table))).scalar_one() == 1


@pytest.mark.parametrize("table", TABLES)
def test_sqlite_cannot_replace_a_row_by_inserting_it_again(sqlite_database: Database, table: str) -> None:
    with sqlite_database.write() as connection:
        add_one_of_each(connection)
    with pytest.raises(DBAPIError, match=f"{table} is append-only"), sqlite_database.write() as connection:
        connection.execute(text(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}"))


def plain_sql(url: str, statement: str) -> None:
    """A statement as from SQLite's own shell: no foreign keys, no recursive triggers."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute(statement)


REWRITES = [
    "REPLACE INTO {table} SELECT * FROM {table}",
    "UPDATE OR REPLACE {table} SET {key} = {key}",
    "DELETE FROM {table}",
]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("rewrite", REWRITES)
def test_plain_sql_cannot_rewrite_history_on_sqlite(
    sqlite_database: Database, sqlite_url: str, table: str, rewrite: str
) -> None:
    with sqlite_database.write() as connection:
        add_one_of_each(connection)
    key = "seq" if table in ("decision", "tile_event") else "id"
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        plain_sql(sqlite_url, rewrite.format(table=table, key=key))


NAMES = [
    "UPDATE annotator SET name = 'mallory'",
    "REPLACE INTO annotator (id, name, created_at) VALUES (1, 'mallory', '2026-01-01')",
    "REPLACE INTO annotator (name, created_at) VALUES ('anna', '2026-01-01')",
    "DELETE FROM annotator",
    "UPDATE class SET name = 'road'",
    "REPLACE INTO class SELECT id, project_id, 'road', geometry_type, colour, digit, definition FROM class",
    "DELETE FROM class",
    "UPDATE tile SET x = 7",
    "DELETE FROM tile",
    "UPDATE model SET name = 'other'",
    "REPLACE INTO project SELECT * FROM project",
    "DELETE FROM feature",
    "UPDATE store SET name = 'other'",
]


@pytest.mark.parametrize("rewrite", NAMES)
def test_plain_sql_cannot_rewrite_what_history_rests_on(
    sqlite_database: Database, sqlite_url: str, rewrite: str
) -> None:
    with sqlite_database.write() as connection:
        add_one_of_each(connection)
    with pytest.raises(sqlite3.IntegrityError, match=r"history rests on|append-only"):
        plain_sql(sqlite_url, rewrite)


@pytest.mark.postgres
@pytest.mark.parametrize(
    "rewrite",
    [
        *(each for each in NAMES if each.startswith("UPDATE")),
        "INSERT INTO annotator (id, name, created_at) VALUES (1, 'm', now()) ON CONFLICT (id) DO UPDATE SET name = 'm'",
        "TRUNCATE annotator CASCADE",
        "DELETE FROM annotator",
    ],
)
def test_plain_sql_cannot_rewrite_what_history_rests_on_in_postgresql(postgresql_url: str, rewrite: str) -> None:
    database = shared(postgresql_url)
    with database.write() as connection:
        add_one_of_each(connection)
    with (
        pytest.raises(DBAPIError, match=r"history rests on|append-only"),
        database.write() as connection,
    ):
        connection.execute(text(rewrite))


def test_what_is_not_history_can_still_be_changed(database: Database) -> None:
    with database.write() as connection:
        add_one_of_each(connection)
    with database.write() as connection:
        for change in (
            "UPDATE class SET colour = '#ffffff', definition = 'a roof'",
            "UPDATE tile SET status = 'complete'",
            "UPDATE model SET parameters = '{}'",
            "UPDATE feature SET withdrawn = (1 = 1)",
        ):
            connection.execute(text(change))


def test_every_guard_is_there(database: Database) -> None:
    with database.read() as connection:
        assert guards.missing(connection) == []
    with database.write() as connection:
        table = "" if database.is_sqlite else " ON annotator"
        connection.execute(text(f"DROP TRIGGER annotator_no_rewrite{table}"))
        assert guards.missing(connection) == ["annotator_no_rewrite"]


@pytest.mark.postgres
@pytest.mark.parametrize("table", TABLES)
def test_postgresql_cannot_empty_a_table(postgresql_url: str, table: str) -> None:
    database = shared(postgresql_url)
    with pytest.raises(DBAPIError, match=f"{table} is append-only"), database.write() as connection:
        connection.execute(text(f"TRUNCATE {table} CASCADE"))
