"""Errors of a database, and the words that tell a busy, full, read-only, damaged and missing one apart."""

import sqlite3
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

Kind = Literal["busy", "full", "read_only", "damaged", "gone", "failing"]


class DatabaseError(Exception):
    """The database is too old, too new, unreachable or damaged; the text is shown to people as it is.

    `kind` says which of these it is where a running database is at fault, else it is empty.
    """

    def __init__(self, text: str, kind: Kind | Literal[""] = "") -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True)
class Trouble:
    """The state that keeps a database from working: its kind, and one line for people with the remedy."""

    kind: Kind
    text: str


REMEDIES: dict[Kind, str] = {
    "busy": "is busy: something else is writing to it. Nothing was stored; try again in a moment",
    "full": "is on a full disk: nothing was stored. Free some space, then try again",
    "read_only": "cannot be written: it, its folder or its disk is read-only here. Nothing was stored; "
    "let this account write to it, then try again",
    "damaged": "is damaged: nothing was stored. Stop Maploop, and restore a backup (maploop restore)",
    "gone": "is gone: it was removed, replaced or cannot be reached any more. Nothing was stored; bring it back or "
    "restore a backup (maploop restore), then start Maploop again",
    "failing": "cannot be read or written by this machine: nothing was stored. Check the disk it is on",
}

_SQLITE: dict[int, Kind] = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_PROTOCOL: "busy",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_PERM: "read_only",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
    sqlite3.SQLITE_CANTOPEN: "gone",
    sqlite3.SQLITE_IOERR: "failing",
}
_SQLITE_EXTENDED: dict[int, Kind] = {sqlite3.SQLITE_READONLY_DBMOVED: "gone"}

# Appendix A of PostgreSQL's manual; a class of two characters stands for all of its codes.
_POSTGRESQL: dict[str, Kind] = {
    "08": "gone",
    "3D": "gone",
    "57P": "gone",
    "42P01": "gone",  # a table of ours is not there
    "40001": "busy",
    "40P01": "busy",
    "55P03": "busy",
    "57014": "busy",
    "53300": "busy",
    "53100": "full",
    "25006": "read_only",
    "42501": "read_only",
    "58030": "failing",
    "XX001": "damaged",
    "XX002": "damaged",
}


def kind_of(error: BaseException) -> Kind | None:
    """The state of the database that an error of its driver speaks of; None when it speaks of something else."""
    if isinstance(error, PoolTimeoutError):
        return "busy"
    original: Any = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", None) or 0
        return _SQLITE_EXTENDED.get(code) or _SQLITE.get(code & 0xFF)
    if not isinstance(error, DBAPIError):
        return None
    state = getattr(original, "sqlstate", None)
    if state:
        return next((_POSTGRESQL[key] for key in (state, state[:3], state[:2]) if key in _POSTGRESQL), None)
    # psycopg gives no code to a connection that broke or was never made.
    return "gone" if type(original).__name__ == "OperationalError" or error.connection_invalidated else None


def trouble(kind: Kind, name: str, reason: str = "") -> Trouble:
    """The words for a database of that name in that state; `reason` is its driver's own word."""
    said = f" ({reason})" if reason else ""
    return Trouble(kind, f"The database {name} {REMEDIES[kind]}{said}.")
