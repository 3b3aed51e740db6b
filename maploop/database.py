"""The domain's way to the database: opens it once a process and speaks in Maploop's errors."""

from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from db import errors
from db.engine import Database
from db.shared import shared
from maploop.errors import DatabaseError
from maploop.settings import get_settings

__all__ = ["Database", "existing_database", "open_database"]


def open_database(url: str | None = None) -> Database:
    """The database of `url`, or of the settings, made when blank, with its schema up to date. Raises DatabaseError."""
    try:
        database = shared(url or get_settings().database)
    except errors.DatabaseError as error:
        raise DatabaseError(str(error), error.kind) from error
    database.complaint = _complaint
    return database


def existing_database(url: str | None = None) -> Database:
    """As `open_database`, but an SQLite file that is not there is not made. Raises DatabaseError."""
    address = url or get_settings().database
    path = sqlite_path(address)
    if path is not None and not (path.is_file() and path.stat().st_size):
        what = "an empty file, no database" if path.is_file() else "not there"
        named = f" --db {url}" if url else ""
        msg = (
            f"The database {path} is {what}: check the address, or make a project first "
            f"(maploop project create NAME --class building:polygon{named})."
        )
        raise DatabaseError(msg)
    return open_database(address)


def sqlite_path(url: str) -> Path | None:
    """Where an SQLite database lies; None for one of another kind, or an address that is none."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:")
    return Path(str(parsed.database)).absolute() if is_file else None


def is_database_file(name: str, database: Path) -> bool:
    """Whether a file beside an SQLite database is it, one of its logs, or a copy from before an upgrade."""
    own = {database.name + suffix for suffix in ("", "-wal", "-shm", "-journal")}
    return name in own or name.startswith(f"{database.stem}-backup-")


def _complaint(trouble: errors.Trouble) -> DatabaseError:
    return DatabaseError(trouble.text, trouble.kind)
