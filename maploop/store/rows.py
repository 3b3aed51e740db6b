"""A database as files: a copy by SQLite itself, or the rows of every table of PostgreSQL, as of one moment."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Error as SqliteError
from sqlite3 import connect as connect_sqlite
from typing import Any

from alembic import command
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from db import chain, engine
from db.chain import Head
from db.store_file import uri_of
from db.upgrade import alembic_config, known_revisions
from maploop.database import Database
from maploop.errors import DatabaseError, InputError

VERSION_TABLE = "alembic_version"


@dataclass(frozen=True)
class Copied:
    """A copied database: its files, the revision of its schema, the end of its chain, and the columns of its tables."""

    files: list[Path]
    revision: str
    head: Head
    tables: dict[str, list[str]] = field(default_factory=dict)


def copy_database(database: Database, folder: Path) -> Copied:
    """Copy a database into a folder while others go on writing. Raises DatabaseError."""
    return _copy_sqlite(database, folder) if database.is_sqlite else _copy_postgresql(database, folder)


def _copy_sqlite(database: Database, folder: Path) -> Copied:
    target = folder / "database.sqlite"
    source = Path(str(database.engine.url.database))
    with database.read():  # says in words what is wrong, if anything is
        pass
    try:
        with closing(connect_sqlite(uri_of(source), uri=True)) as original, closing(connect_sqlite(target)) as copy:
            target.chmod(0o600)
            original.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    except SqliteError as error:
        msg = f"Copying {source} failed: {error}. Free some space, or restore a backup if it is damaged."
        raise DatabaseError(msg) from error
    opened = engine.connect(f"sqlite:///{target}")
    try:
        with opened.read() as connection:
            revision = str(MigrationContext.configure(connection).get_current_revision())
            head = chain.head_of(connection)
    finally:
        opened.close()
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            target.with_name(target.name + suffix).unlink()
    return Copied([target], revision, head)


def _copy_postgresql(database: Database, folder: Path) -> Copied:
    with database.read() as connection:
        revision = str(MigrationContext.configure(connection).get_current_revision())
        head = chain.head_of(connection)
        tables: dict[str, list[str]] = {}
        files = []
        for table in _tables(connection):
            tables[table.name] = [column.name for column in table.columns]
            path = folder / f"{table.name}.copy"
            cursor: Any = connection.connection.cursor()
            with (
                path.open("wb") as file,
                cursor.copy(f"COPY {_listed(table.name, tables[table.name])} TO STDOUT") as rows,
            ):
                for block in rows:
                    file.write(block)
            files.append(path)
    return Copied(files, revision, head, tables)


def check_revision(revision: str) -> None:
    """The schema of a backup has to be one that this version knows. Raises InputError."""
    known = known_revisions()
    if revision not in known:
        msg = f"The backup is at revision {revision}, this version knows up to {known[-1]}: upgrade Maploop."
        raise InputError(msg)


def check_head(connection: Connection, head: str, links: int) -> None:
    """History has to end as the manifest says, in a database of a backup. Raises InputError."""
    found = chain.head_of(connection)
    if (found.digest.hex(), found.position) != (head, links):
        msg = (
            f"History in the backup ends at link {found.position:,} ({found.digest.hex()[:12]}), its manifest says "
            f"link {links} ({str(head)[:12]}): the backup was changed, use another one."
        )
        raise InputError(msg)


@contextmanager
def filled_postgresql(
    database: Database, folder: Path, revision: str, tables: dict[str, list[str]]
) -> Iterator[Connection]:
    """Make the schema of a revision in a blank database and fill in the rows: kept when the block ends.

    Raises InputError when the database is not blank, or the revision is of a later version.
    """
    check_revision(revision)
    config = alembic_config()
    with database.write() as connection:
        if _tables(connection):
            msg = f"{database.name} is not empty: make a new database (createdb) and name it with --db."
            raise InputError(msg)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        there = {table.name: table for table in _tables(connection)}
        if set(there) != set(tables):
            msg = f"The backup has tables that revision {revision} has not: it was not made by Maploop."
            raise InputError(msg)
        if "store" in there:  # the row that making the schema left: the backup brings its own
            for statement in ("DISABLE TRIGGER USER", "ENABLE TRIGGER USER"):
                connection.exec_driver_sql(f"ALTER TABLE store {statement}")
                if statement.startswith("DISABLE"):
                    connection.exec_driver_sql("DELETE FROM store")
        for name in there:
            cursor: Any = connection.connection.cursor()
            into = f"COPY {_listed(name, tables[name])} FROM STDIN"
            with (folder / f"{name}.copy").open("rb") as file, cursor.copy(into) as rows:
                while block := file.read(1 << 20):
                    rows.write(block)
        _set_sequences(connection, list(there))
        yield connection


def _tables(connection: Connection) -> list[Any]:
    """The tables, each after those that it refers to."""
    found = MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != VERSION_TABLE]


def _listed(table: str, columns: list[str]) -> str:
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
    return f'"{table}" ({quoted})'


def _set_sequences(connection: Connection, tables: list[str]) -> None:
    rows = connection.exec_driver_sql(
        "SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name) "
        "FROM information_schema.columns WHERE table_schema = current_schema() AND column_default LIKE 'nextval(%%'"
    ).all()
    for table, column, sequence in rows:
        if table in tables and sequence:
            connection.exec_driver_sql(
                f'SELECT setval(\'{sequence}\', (SELECT coalesce(max("{column}"), 1) FROM "{table}"), '  # noqa: S608
                f'(SELECT count(*) > 0 FROM "{table}"))'
            )
