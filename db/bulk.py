"""Many rows at once: ids ahead of the rows, rows past the ORM, and the lock that keeps two imports apart."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np
from sqlalchemy import Column, Connection, Table, func, select
from sqlalchemy import cast as cast_sql
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import OperationalError

from db.models import Base, Project

MANY = 1_000  # rows after which planning anew pays
_IN_ONE_LIST = 500  # values; SQLite takes 32,766 a statement

Value = TypeVar("Value")


def in_lists(values: Sequence[Value]) -> Iterator[Sequence[Value]]:
    """The values in parts that one IN list each can hold."""
    for start in range(0, len(values), _IN_ONE_LIST):
        yield values[start : start + _IN_ONE_LIST]


def table_of(model: type[Base]) -> Table:
    """The table behind a mapped class."""
    return cast("Table", model.__table__)


def lock_project(connection: Connection, project_id: int) -> None:
    """Wait until no other bulk write of the project is under way; held until the transaction ends.

    On SQLite the write transaction itself is that lock. Decisions, which only refer to the project, are not held up.
    """
    connection.execute(select(Project.id).where(Project.id == project_id).with_for_update(key_share=True))


def reserve_ids(connection: Connection, model: type[Base], count: int) -> list[int]:
    """`count` ascending unused primary keys of a table, for rows inserted in this write transaction."""
    (key,) = table_of(model).primary_key.columns
    if connection.dialect.name == "sqlite":
        last = connection.execute(select(func.max(key))).scalar() or 0
        return list(range(last + 1, last + 1 + count))
    sequence = connection.execute(select(func.pg_get_serial_sequence(key.table.name, key.name))).scalar_one()
    series = func.generate_series(1, count).table_valued("value")
    drawn = select(func.nextval(cast_sql(sequence, postgresql.REGCLASS))).select_from(series)
    return sorted(connection.execute(drawn).scalars())


Columns = Mapping[str, Sequence[Any] | np.ndarray]


def insert_rows(connection: Connection, model: type[Base], columns: Columns) -> None:
    """Insert rows given as parallel columns; defaults do not apply, so name every column that needs a value.

    PostgreSQL takes them by COPY, SQLite by one prepared statement.
    """
    table = table_of(model)
    names = ", ".join(f'"{name}"' for name in columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        statement = f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})'  # noqa: S608  own names
    else:
        statement = f'COPY "{table.name}" ({names}) FROM STDIN'
    _send(connection, statement, _rows(connection, table, columns))


def update_rows(
    connection: Connection,
    model: type[Base],
    ids: Sequence[int] | np.ndarray,
    columns: Columns,
    *,
    while_empty: str = "",
) -> None:
    """Set columns of rows named by their primary key, given as parallel columns.

    `while_empty` names a column: rows in which it has a value by now stay as they are.
    """
    if not len(ids):
        return
    table = table_of(model)
    (key,) = table.primary_key.columns
    guard = f'AND "{table.name}"."{while_empty}" IS NULL' if while_empty else ""
    if connection.dialect.name == "sqlite":
        changes = ", ".join(f'"{name}" = ?' for name in columns)
        statement = f'UPDATE "{table.name}" SET {changes} WHERE "{key.name}" = ? {guard}'  # noqa: S608  own names
        _send(connection, statement, _rows(connection, table, {**columns, key.name: ids}))
        return
    names = ", ".join(f'"{name}"' for name in (key.name, *columns))
    changes = ", ".join(f'"{name}" = incoming."{name}"' for name in columns)
    connection.exec_driver_sql(
        f'CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT {names} FROM "{table.name}" WITH NO DATA'  # noqa: S608
    )
    _send(connection, f"COPY incoming ({names}) FROM STDIN", _rows(connection, table, {key.name: ids, **columns}))
    connection.exec_driver_sql(
        f'UPDATE "{table.name}" SET {changes} FROM incoming '  # noqa: S608  own names
        f'WHERE "{table.name}"."{key.name}" = incoming."{key.name}" {guard}'
    )
    connection.exec_driver_sql("DROP TABLE incoming")


def refresh_statistics(connection: Connection, *models: type[Base]) -> None:
    """Let PostgreSQL's planner know of rows written in this very transaction: before, it takes tables for small."""
    if connection.dialect.name != "sqlite":
        for model in models:
            connection.exec_driver_sql(f'ANALYZE "{table_of(model).name}"')


def _send(connection: Connection, statement: str, rows: Iterator[tuple[Any, ...]]) -> None:
    """Send rows by the driver's own cursor: SQLAlchemy knows no COPY, and would keep a list of all parameters."""
    driver = cast("Any", connection.dialect.loaded_dbapi)
    cursor = cast("Any", connection.connection.cursor())
    try:
        if connection.dialect.name == "sqlite":
            cursor.executemany(statement, rows)
        else:
            with cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
    except driver.OperationalError as error:
        raise OperationalError(statement, None, error) from error
    finally:
        cursor.close()


def _rows(connection: Connection, table: Table, columns: Columns) -> Iterator[tuple[Any, ...]]:
    return zip(*(_bound(connection, table.c[name], values) for name, values in columns.items()), strict=True)


def _bound(connection: Connection, column: Column[Any], values: Sequence[Any] | np.ndarray) -> Iterator[Any]:
    """Values as the driver takes them: what SQLAlchemy would do for the column's type."""
    plain: Iterable[Any] = values.tolist() if isinstance(values, np.ndarray) else values
    processor = column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    return iter(plain) if processor is None else map(processor, plain)
