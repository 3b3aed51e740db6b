"""Engines and transactions: one `Database` per URL, SQLite tuned for durability, PostgreSQL with the same calls."""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from db import chain
from db.errors import DatabaseError, Trouble, kind_of, trouble
from db.store_file import StoreFile, uri_of

BUSY_TIMEOUT_SECONDS = 30
LEAST_TIMEOUT_SECONDS = 0.01  # an attempt is made even when all patience went into waiting for one's turn

logger = logging.getLogger(__name__)


class Database:
    """Short read and write transactions on one URL.

    On SQLite a write begins IMMEDIATE, and writers of this process queue on a lock: SQLite itself would make them poll.
    A database that is busy, full, read-only, damaged or gone is told of by what `complaint` makes of it, a
    `DatabaseError` unless somebody above wants an error of its own; other errors pass as they are.
    """

    def __init__(self, engine: Engine, file: StoreFile | None = None) -> None:
        self.engine = engine
        self.file = file
        self.is_sqlite = engine.dialect.name == "sqlite"
        self.complaint: Callable[[Trouble], Exception] = lambda trouble: DatabaseError(trouble.text, trouble.kind)
        self._writer = engine.execution_options(writes=True)
        # SQLite's readers see one moment anyway; PostgreSQL has to be asked.
        self._reader = engine if self.is_sqlite else engine.execution_options(isolation_level="REPEATABLE READ")
        self._lock = threading.RLock()
        self._has_chain = False

    @property
    def url(self) -> str:
        """What opens it, with its password."""
        return self.engine.url.render_as_string(hide_password=False)

    @property
    def name(self) -> str:
        """The URL without its password, for people."""
        return self.engine.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection in a read transaction: one consistent view, from the first query to the last."""
        with self._told():
            self._check_file()
            with self._reader.connect() as connection:
                yield connection

    @contextmanager
    def write(self, patience: float | None = None) -> Iterator[Connection]:
        """A connection in a write transaction: on disk when the block ends, rolled back when it raises.

        Waits at most `patience` seconds, from now on, for others to let it write. When none is given: on SQLite 30 for
        other processes, and as long as it takes for this one; on PostgreSQL as long as it takes.
        """
        began = time.monotonic()
        with self._told():
            if not self.is_sqlite:
                with self._writer.connect() as connection, connection.begin():
                    if patience is not None:
                        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {max(1, round(patience * 1000))}")
                    with self._linked(connection):
                        yield connection
                return
            self._check_file()
            if not self._lock.acquire(timeout=-1 if patience is None else patience):
                raise self._complain(trouble("busy", self.name))
            try:
                wanted = BUSY_TIMEOUT_SECONDS if patience is None else patience
                left = max(began + wanted - time.monotonic(), LEAST_TIMEOUT_SECONDS)
                with (
                    self._writer.connect().execution_options(patience=left) as connection,
                    connection.begin(),
                    self._linked(connection),
                ):
                    yield connection
            finally:
                self._lock.release()
            self._check_file()  # or what is committed would be called stored, in a file that nobody finds again

    @contextmanager
    def _linked(self, connection: Connection) -> Iterator[None]:
        """Link what the block adds to history, before it is committed."""
        if not self._has_chain:  # a database that is blank, or of a version from before there was one
            self._has_chain = inspect(connection).has_table("chain_link")
        if not self._has_chain:
            yield
            return
        marks = chain.marks_of(connection)
        yield
        chain.link_new(connection, marks)

    def settle(self) -> None:
        """Hold on to the file as Maploop's own, once its schema is up to date."""
        if self.file is not None:
            self.file.settle()

    def close(self) -> None:
        """Give back every pooled connection."""
        self.engine.dispose()
        if self.file is not None:
            self.file.close()

    def _check_file(self) -> None:
        problem = self.file.problem() if self.file is not None else ""
        if problem:
            raise self._complain(trouble("gone", self.name, problem))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, PoolTimeoutError, sqlite3.Error) as error:
            kind = kind_of(error)
            if kind is None:
                raise
            if kind != "busy" and self.file is not None and (problem := self.file.problem()):
                raise self._complain(trouble("gone", self.name, problem)) from error
            raise self._complain(trouble(kind, self.name, reason_of(error))) from error

    def _complain(self, found: Trouble) -> Exception:
        if found.kind == "busy":  # it passes, and whoever waits for it tries again
            logger.info("%s: %s", found.kind, found.text)
        else:
            logger.error("%s: %s", found.kind, found.text)
        return self.complaint(found)


def reason_of(error: Exception) -> str:
    """The driver's own word for an error, in one line."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _tune_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(dbapi_connection: Any, _record: Any) -> None:
        dbapi_connection.isolation_level = None  # transactions begin where SQLAlchemy says so, below
        cursor = dbapi_connection.cursor()
        for pragma in (  # and WAL, which db.upgrade turns on once it knows that the file is Maploop's
            f"busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}",
            "synchronous=FULL",
            "foreign_keys=ON",
            "recursive_triggers=ON",  # so that nothing is deleted past the append-only triggers
            "temp_store=MEMORY",
            "cache_size=-64000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        patience = options.get("patience", BUSY_TIMEOUT_SECONDS)
        if connection.info.get("patience", BUSY_TIMEOUT_SECONDS) != patience:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={max(1, round(patience * 1000))}")
            connection.info["patience"] = patience
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes", False) else "BEGIN")


def _tune_postgresql(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(dbapi_connection: Any, _record: Any) -> None:
        # A server may be set to answer before it has flushed: a decision counts as stored when it is on disk.
        dbapi_connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') IN ('off', 'local')"
        )
        dbapi_connection.commit()


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
    """A `Database` for the URL; an SQLite file that is not there is made, with its folder. Raises DatabaseError."""
    parsed = _parse(url)
    file: StoreFile | None = None
    try:
        if parsed.get_backend_name() == "sqlite":
            if not parsed.database or parsed.database == ":memory:":
                msg = "An SQLite database in memory would lose every decision: give a file, sqlite:///path/to/file.sqlite."
                raise DatabaseError(msg)
            path = Path(parsed.database).absolute()
            file = _sqlite_file(path)
            engine = create_engine(parsed, creator=_opener(path), pool_size=16, max_overflow=32)
            _tune_sqlite(engine)
        else:
            engine = create_engine(parsed, pool_pre_ping=True, pool_size=16, max_overflow=32)
            _tune_postgresql(engine)
        with engine.connect():
            pass
    except (DBAPIError, NoSuchModuleError, OSError) as error:
        if file is not None:
            file.close()
        kind = kind_of(error) or ""
        remedy = " Restore a backup: maploop restore FILE." if kind == "damaged" else ""
        msg = f"Cannot open the database {parsed.render_as_string(hide_password=True)}: {reason_of(error)}.{remedy}"
        raise DatabaseError(msg, kind) from error
    return Database(engine, file)


def _sqlite_file(path: Path) -> StoreFile:
    """The file at a path, made when there is none: its owner's alone, as are the folders made for it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return StoreFile(path)


def _opener(path: Path) -> Callable[[], sqlite3.Connection]:
    """Opens the file, and never makes one: where it was removed, an empty one would take its place."""
    uri = uri_of(path)
    return lambda: sqlite3.connect(uri, uri=True, check_same_thread=False)
