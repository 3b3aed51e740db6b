"""What was predicted, decided, measured and promoted can be added to, and never changed."""

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

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


@pytest.mark.postgres
@pytest.mark.parametrize("table", TABLES)
def test_postgresql_cannot_empty_a_table(postgresql_url: str, table: str) -> None:
    database = shared(postgresql_url)
    with pytest.raises(DBAPIError, match=f"{table} is append-only"), database.write() as connection:
        connection.execute(text(f"TRUNCATE {table} CASCADE"))
