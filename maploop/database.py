"""The domain's way to the database: opens it once a process and speaks in Maploop's errors."""

from db import errors
from db.engine import Database
from db.shared import shared
from maploop.errors import DatabaseError
from maploop.settings import get_settings

__all__ = ["Database", "open_database"]


def open_database(url: str | None = None) -> Database:
    """The database of `url`, or of the settings, with its schema up to date. Raises DatabaseError."""
    try:
        return shared(url or get_settings().database)
    except errors.DatabaseError as error:
        raise DatabaseError(str(error)) from error
