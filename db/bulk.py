"""Many rows at once: ids ahead of the rows, rows past the ORM, and the lock that keeps two imports apart."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
from sqlalchemy import Column, Connection, Table, func, select
from sqlalchemy.exc import OperationalError

from db.models import Base, Project


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
    sequence = func.pg_get_serial_sequence(key.table.name, key.name)
    series = func.generate_series(1, count).table_valued("value")
    return sorted(connection.execute(select(func.nextval(sequence)).select_from(series)).scalars())


def insert_rows(connection: Connection, model: type[Base], columns: Mapping[str, Sequence[Any] | np.ndarray]) -> None:
    """Insert rows given as parallel columns; defaults do not apply, so name every column that needs a value.

    PostgreSQL takes them by COPY, SQLite by one prepared statement.
    """
    table = table_of(model)
    rows = zip(*(_bound(connection, table.c[name], values) for name, values in columns.items()), strict=True)
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join("?" * len(columns))
    copy_in, insert_into = f'COPY "{table.name}" ({names}) FROM STDIN', f'INSERT INTO "{table.name}" ({names})'
    # The driver's own cursor: SQLAlchemy knows no COPY, and would build and keep a list of all parameters.
    driver = cast("Any", connection.dialect.loaded_dbapi)
    cursor = cast("Any", connection.connection.cursor())
    try:
        if connection.dialect.name == "sqlite":
            cursor.executemany(f"{insert_into} VALUES ({marks})", rows)
        else:
            with cursor.copy(copy_in) as copy:
                for row in rows:
                    copy.write_row(row)
    except driver.OperationalError as error:
        raise OperationalError(insert_into, None, error) from error
    finally:
        cursor.close()


def _bound(connection: Connection, column: Column[Any], values: Sequence[Any] | np.ndarray) -> Iterator[Any]:
    """Values as the driver takes them: what SQLAlchemy would do for the column's type."""
    plain: Iterable[Any] = values.tolist() if isinstance(values, np.ndarray) else values
    processor = column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    return iter(plain) if processor is None else map(processor, plain)
