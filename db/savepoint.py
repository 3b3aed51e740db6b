"""Savepoints within a write transaction, and how those who write in groups are spared them."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from db.errors import DatabaseError

SPARED = "spares_savepoints"


class SparedSavepointError(DatabaseError):
    """A savepoint was spared and is needed: take back the transaction, and run it again with savepoints."""


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Take back what the block wrote when it raises; the transaction goes on.

    Plain statements: `Connection.begin_nested` costs as much as half a decision. Blocks may not be nested. On a
    connection that spares them (`spare_savepoints`) nothing is sent, and SparedSavepointError raised instead.
    """
    if connection.get_execution_options().get(SPARED, False):
        try:
            yield
        except Exception as error:
            msg = f"A savepoint was spared and is needed after all: {error}"
            raise SparedSavepointError(msg) from error
        return
    connection.exec_driver_sql("SAVEPOINT entry")
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT entry")
        raise
    connection.exec_driver_sql("RELEASE SAVEPOINT entry")


def spare_savepoints(connection: Connection) -> None:
    """Send no savepoints until the connection is given back: for whoever can run the whole transaction again."""
    connection.execution_options(**{SPARED: True})
