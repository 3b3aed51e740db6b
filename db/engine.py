"""Engines and transactions: one `Database` per URL, SQLite tuned for durability, PostgreSQL with the same calls."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from db.errors import DatabaseError

BUSY_TIMEOUT_SECONDS = 30


class Database:
    """Short read and write transactions on one URL.

    On SQLite a write begins IMMEDIATE, and writers of this process queue on a lock: SQLite itself would make them poll.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._writer = engine.execution_options(writes=True)
        # SQLite's readers see one moment anyway; PostgreSQL has to be asked.
        self._reader = engine if self.is_sqlite else engine.execution_options(isolation_level="REPEATABLE READ")
        self._lock = threading.RLock()

    @property
    def url(self) -> str:
        """What opens it, with its password."""
        return self.engine.url.render_as_string(hide_password=False)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection in a read transaction: one consistent view, from the first query to the last."""
        with self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection in a write transaction: on disk when the block ends, rolled back when it raises."""
        if self.is_sqlite:
            with self._lock, self._writer.begin() as connection:
                yield connection
        else:
            with self._writer.begin() as connection:
                yield connection

    def close(self) -> None:
        """Give back every pooled connection."""
        self.engine.dispose()


def _tune_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(dbapi_connection: Any, _record: Any) -> None:
        dbapi_connection.isolation_level = None  # transactions begin where SQLAlchemy says so, below
        cursor = dbapi_connection.cursor()
        for pragma in (  # and WAL, which db.upgrade turns on once it knows that the file is Maploop's
            f"busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}",
            "synchronous=FULL",
            "foreign_keys=ON",
            "recursive_triggers=ON",  # or INSERT OR REPLACE would delete past the append-only triggers
            "temp_store=MEMORY",
            "cache_size=-64000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        msg = f"{url!r} is not a database URL: write sqlite:///path/to/file.sqlite or postgresql://user@host/name."
        raise DatabaseError(msg) from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        msg = f"{parsed.drivername!r} databases are not supported: use sqlite or postgresql."
        raise DatabaseError(msg)
    return parsed


def connect(url: str) -> Database:
    """A `Database` for the URL; the folder of an SQLite file is made. Raises DatabaseError."""
    parsed = _parse(url)
    try:
        if parsed.get_backend_name() == "sqlite":
            if not parsed.database or parsed.database == ":memory:":
                msg = "An SQLite database in memory would lose every decision: give a file, sqlite:///path/to/file.sqlite."
                raise DatabaseError(msg)
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(parsed, connect_args={"check_same_thread": False}, pool_size=16, max_overflow=32)
            _tune_sqlite(engine)
        else:
            engine = create_engine(parsed, pool_pre_ping=True, pool_size=16, max_overflow=32)
        with engine.connect():
            pass
    except (DBAPIError, NoSuchModuleError, OSError) as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        msg = f"Cannot open the database {parsed.render_as_string(hide_password=True)}: {reason}."
        raise DatabaseError(msg) from error
    return Database(engine)
