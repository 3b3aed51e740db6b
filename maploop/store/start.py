"""The store when the app starts: looked at for damage, closed to others, and rid of what a kill left half made."""

import logging
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from db.store_file import uri_of
from maploop.database import Database, is_database_file, sqlite_path
from maploop.dataset.staging import clear_leftovers
from maploop.errors import DatabaseError
from maploop.settings import get_settings

CHECK_SECONDS = 5.0  # a file of a gigabyte takes about as long; `maploop verify` takes all the time it needs
_STEPS = 10_000  # of SQLite's machine, between two looks at the clock
OTHERS = 0o077
DRAFT_SECONDS = 24 * 3600  # nobody writes a draft for longer

FOLDERS = ("batches", "cache", "datasets", "embeddings", "examples", "imagery", "models", "sample", "uploads")
FILES = ("signing.key", "prices.json", "server.log")
_DRAFT = re.compile(r"\..*[0-9a-f]{32}(\.draft)?")  # as datasets, models and copies of databases are written first

logger = logging.getLogger(__name__)


def check_quickly(database: Database, seconds: float = CHECK_SECONDS) -> bool:
    """Look for damage in an SQLite file -> whether all of it was looked at in that time. Raises DatabaseError."""
    path = sqlite_path(database.url)
    if path is None:
        return True
    deadline = time.monotonic() + seconds
    try:
        with closing(sqlite3.connect(uri_of(path), uri=True)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            said = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_INTERRUPT:
            logger.info("%s is too large to be looked at whole in %g s: maploop verify does", path, seconds)
            return False
        if code == sqlite3.SQLITE_BUSY:
            return False
        said = [str(error)]
    if said != ["ok"]:
        msg = (
            f"The database {path} is damaged ({'; '.join(said)}): nothing was changed. Restore a backup (maploop "
            "restore FILE --force, which moves this one aside), or see what maploop verify says."
        )
        raise DatabaseError(msg, "damaged")
    return True


def close_to_others(database: Database) -> None:
    """Take from everybody else what they may do with the data folder, the database and what lies beside it."""
    folder = get_settings().data_folder
    path = sqlite_path(database.url)
    if path is not None:
        for suffix in ("", "-wal", "-shm"):
            _close(path.with_name(path.name + suffix))
    if not folder.is_dir():
        return
    others = [each.name for each in folder.iterdir() if not _is_ours(each.name, path)]
    if others:  # somebody's home folder, say: its other files are none of Maploop's business
        logger.warning("%s holds %s besides Maploop's own: the folder stays as open as it is", folder, others[0])
    else:
        _close(folder)
    for each in _own_files(folder, path):
        _close(each)


def clear_drafts() -> None:
    """Remove what writers that were killed left half made; none of it ever bore its name."""
    folder = get_settings().data_folder
    clear_leftovers(folder)
    for each in _own_files(folder, None):
        if each.is_dir():
            clear_leftovers(each)
        elif _DRAFT.fullmatch(each.name):
            with suppress(OSError):
                if time.time() - each.stat().st_mtime > DRAFT_SECONDS:
                    each.unlink()


def _is_ours(name: str, database: Path | None) -> bool:
    return (
        name in (*FOLDERS, *FILES)
        or name.startswith((".", "replaced-", "maploop.sqlite", "maploop-backup-"))
        or (database is not None and is_database_file(name, database))
    )


def _own_files(folder: Path, database: Path | None) -> Iterator[Path]:
    """Files and folders of the data folder that are Maploop's, links left out."""
    for each in folder.iterdir() if folder.is_dir() else ():
        if each.is_symlink() or not _is_ours(each.name, database):
            continue
        yield each
        if each.is_dir() and (each.name in FOLDERS or each.name.startswith("replaced-")):
            for parent, folders, names in os.walk(each):
                for name in (*folders, *names):
                    path = Path(parent) / name
                    if not path.is_symlink():
                        yield path


def _close(path: Path) -> None:
    with suppress(FileNotFoundError):
        mode = path.stat().st_mode
        if mode & OTHERS:
            try:
                path.chmod(mode & 0o777 & ~OTHERS)
            except PermissionError:
                logger.warning("others may read %s, which belongs to another account: close it to them", path)
