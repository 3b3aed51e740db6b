"""Bring a database to the schema this version knows: made when blank, upgraded after a backup, refused when newer."""

import secrets
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import func, inspect, select
from sqlalchemy.exc import DBAPIError

from db.engine import BUSY_TIMEOUT_SECONDS, Database, reason_of
from db.errors import DatabaseError
from db.models import Decision, TileEvent
from db.store_file import APPLICATION_ID, uri_of
from db.types import stored_clock

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_PAUSE_SECONDS = 0.02
UPGRADE_LOCK = 0x4D61706C6F6F70  # any number that nobody else locks in the same PostgreSQL database


def alembic_config() -> Config:
    """Alembic's configuration, without an ini file: the migrations of this package."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def known_revisions() -> list[str]:
    """All revisions this version knows, oldest first."""
    script = ScriptDirectory.from_config(alembic_config())
    return [revision.revision for revision in script.walk_revisions()][::-1]


def _state(database: Database) -> tuple[str | None, bool]:
    try:
        with database.read() as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
            return revision, bool(inspect(connection).get_table_names())
    except (DBAPIError, CommandError, DatabaseError) as error:
        kind = error.kind if isinstance(error, DatabaseError) else ""
        if kind not in ("", "damaged"):
            raise
        msg = f"{database.name} cannot be read as a database: {_reason(error)}. Restore a backup, or name another file."
        raise DatabaseError(msg, kind) from error


def _reason(error: Exception) -> str:
    """The driver's own word, also for an error that was put in ours."""
    return reason_of(_cause(error))


def _cause(error: Exception) -> Exception:
    cause = error.__cause__
    return cause if isinstance(error, DatabaseError) and isinstance(cause, Exception) else error


def _write_ahead(database: Database) -> None:
    """Have SQLite keep a write-ahead log, so that readers and a writer do not wait for one another.

    SQLite does not wait for its turn here, as it does elsewhere: when several processes start at once, we do.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            with closing(
                sqlite3.connect(str(database.engine.url.database), timeout=BUSY_TIMEOUT_SECONDS)
            ) as connection:
                _mark(connection)
                connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.Error as error:
            kind = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says more closely what kept it
            is_busy = kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if is_busy and time.monotonic() < deadline:
                time.sleep(BUSY_PAUSE_SECONDS)
                continue
            msg = (
                f"{database.name} cannot be written: {error}. Close what else has it open, and check who may write "
                "to it."
            )
            raise DatabaseError(msg) from error
        return


def _mark(connection: sqlite3.Connection) -> None:
    """Write into the file's header that it is Maploop's, and a number that tells it from others, once for ever."""
    if _is_marked(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    if not _is_marked(connection):  # of processes that start at once, one draws the number
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={1 + secrets.randbelow(2**31 - 1)}")
    connection.execute("COMMIT")


def _is_marked(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID)


def backup(database: Database, revision: str) -> Path | None:
    """Copy an SQLite database beside itself, complete with what is still in its log; None on a server.

    Raises DatabaseError, and leaves no half copy, when there is no room or the copy fails.
    """
    if not database.is_sqlite:
        return None
    source = Path(str(database.engine.url.database))
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = source.with_name(f"{source.stem}-backup-{revision}-{stamp}{source.suffix}")
    needed = source.stat().st_size * 2
    if shutil.disk_usage(source.parent).free < needed:
        msg = f"No room to back up {source} before upgrading it: free {needed:,} bytes first."
        raise DatabaseError(msg)
    draft = target.with_name(f".{target.name}.{uuid4().hex}")  # half a copy never bears the name of a whole one
    try:
        with closing(sqlite3.connect(uri_of(source), uri=True)) as original, closing(sqlite3.connect(draft)) as copy:
            draft.chmod(0o600)
            original.backup(copy)
        draft.replace(target)
    except (sqlite3.Error, OSError) as error:
        msg = f"{source} was not upgraded, because backing it up to {target} failed: {error}."
        raise DatabaseError(msg) from error
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    return target


def upgrade(database: Database) -> Path | None:
    """Bring the schema up to date; the backup's path when an older database was upgraded. Raises DatabaseError."""
    known = known_revisions()
    revision, has_tables = _state(database)
    if revision is None and has_tables:
        msg = f"{database.name} holds tables that Maploop did not make: name another database."
        raise DatabaseError(msg)
    if revision is not None and revision not in known:
        msg = (
            f"{database.name} is at revision {revision}, this version knows up to {known[-1]}: "
            "upgrade Maploop, or restore the backup beside it."
        )
        raise DatabaseError(msg)
    if database.is_sqlite:
        _write_ahead(database)
    copy = None if revision == known[-1] else _migrate(database, known[-1])
    database.settle()
    _follow_clock(database)
    return copy


def _follow_clock(database: Database) -> None:
    """Store nothing as earlier than what was stored last, should the clock have gone backwards since."""
    with database.read() as connection:
        for model in (Decision, TileEvent):
            last = connection.execute(select(model.stored_at).order_by(model.seq.desc()).limit(1)).scalar()
            if last is not None:
                stored_clock.follow(last)


def _migrate(database: Database, newest: str) -> Path | None:
    """Back up and upgrade in one write transaction, so that of several processes one does both."""
    config = alembic_config()
    copy: Path | None = None
    try:
        with database.write() as connection:
            if not database.is_sqlite:
                connection.execute(select(func.pg_advisory_xact_lock(UPGRADE_LOCK)))
            revision = MigrationContext.configure(connection).get_current_revision()
            if revision == newest:
                return None  # another process was faster
            if revision is not None:
                copy = backup(database, revision)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except (DBAPIError, CommandError, DatabaseError) as error:
        kind = error.kind if isinstance(error, DatabaseError) else ""
        if isinstance(error, DatabaseError) and not kind:  # said in our own words already
            raise
        kept = f" The copy made before is {copy}." if copy else ""
        if kind == "read_only" and not database.is_sqlite:
            kept = " Upgrade it as the owner of its tables: maploop upgrade --db URL --grant ROLE."
        msg = f"Upgrading {database.name} failed and changed nothing: {_reason(error)}.{kept}"
        raise DatabaseError(msg, kind) from error
    return copy
