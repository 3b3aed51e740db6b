"""Savepoints within a write transaction."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Take back what the block wrote when it raises; the transaction goes on.

    Plain statements: `Connection.begin_nested` costs as much as half a decision. Blocks may not be nested.
    """
    connection.exec_driver_sql("SAVEPOINT entry")
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT entry")
        raise
    connection.exec_driver_sql("RELEASE SAVEPOINT entry")
