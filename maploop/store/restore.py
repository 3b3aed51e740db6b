"""Bringing a store back from a backup: whole or not at all, and never over what is there unless told."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from db import engine, errors
from maploop.database import Database, open_database, sqlite_path
from maploop.dataset.staging import staged
from maploop.errors import ConflictError, DatabaseError, InputError
from maploop.settings import get_settings
from maploop.store import rows
from maploop.store.archive import DATA, DATABASE, Backup, Progress, extract, opened, safe_path
from maploop.store.verify import Verification, verify_store


def restore_backup(
    path: Path, url: str, *, force: bool = False, progress: Progress = lambda _text: None
) -> tuple[Backup, Verification, Path | None]:
    """Bring back the store of a backup into the data folder and the database of `url`, then verify it.

    Every file is held to its checksum before anything is put in its place. What is there already is refused, or with
    `force` moved into a folder of its own, whose path is the last of what is answered. Raises InputError,
    ConflictError, DatabaseError.
    """
    data = get_settings().data_folder
    with opened(path) as (archive, backup):
        place = sqlite_path(url)
        if (backup.kind == "sqlite") != (place is not None):
            kind = "an SQLite file (sqlite:///path/to/file.sqlite)" if backup.kind == "sqlite" else "PostgreSQL"
            msg = f"{path} holds a database of {backup.kind}: name {kind} with --db."
            raise InputError(msg)
        tops = sorted({safe_path(name).parts[0] for name in backup.files if name.startswith(DATA)})
        there = _taken(data, tops, place)
        if there and not force:
            msg = f"{there[0]} is there already: restore into an empty data folder (MAPLOOP_DATA), or use --force."
            raise ConflictError(msg)
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with staged(data / "restore") as folder:
            for name in backup.files:
                progress(f"Reading {name}")
                target = folder / ("files" if name.startswith(DATA) else "database") / _relative(name, backup)
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                extract(archive, backup, name, target)
            _check_copy(folder / "database", backup)
            replaced = _move_away(there, data) if there else None
            for top in tops:
                (folder / "files" / top).replace(data / top)
            _put_database(folder / "database", backup, url, place)
    database = open_database(url)
    progress("Verifying what was restored")
    return backup, verify_store(database, progress), replaced


def _relative(name: str, backup: Backup) -> Path:
    if name.startswith(DATA):
        return Path(safe_path(name))
    if name == DATABASE or name.removesuffix(".copy") in backup.tables:
        return Path(name)
    msg = f"{name!r} is no part of a backup: it was not made by Maploop."
    raise InputError(msg)


def _taken(data: Path, tops: list[str], place: Path | None) -> list[Path]:
    """List what a restore would overwrite."""
    found = [data / top for top in tops if (data / top).exists()]
    if place is not None:
        beside = [place.with_name(place.name + suffix) for suffix in ("", "-wal", "-shm")]
        found += [each for each in beside if each.exists() and (each != place or each.stat().st_size)]
    return found


def _check_copy(folder: Path, backup: Backup) -> None:
    """An SQLite copy has to be sound before it takes anything's place. Raises DatabaseError."""
    if backup.kind != "sqlite":
        return
    try:
        copy = engine.connect(f"sqlite:///{folder / DATABASE}")
        try:
            with copy.read() as connection:
                said: Any = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        finally:
            copy.close()
    except errors.DatabaseError as error:
        said = str(error)
    if said != "ok":
        msg = f"The database in the backup is damaged ({said}): use another backup."
        raise DatabaseError(msg)


def _move_away(there: list[Path], data: Path) -> Path:
    folder = data / f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    folder.mkdir(mode=0o700)
    for each in there:
        shutil.move(each, folder / each.name)  # the database may lie on another disk
    return folder


def _put_database(folder: Path, backup: Backup, url: str, place: Path | None) -> None:
    if place is not None:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.unlink(missing_ok=True)  # an empty file that opening it left
        draft = place.with_name(f".{place.name}.{uuid4().hex}")
        try:
            shutil.move(folder / DATABASE, draft)
            draft.chmod(0o600)
            draft.replace(place)
        finally:
            draft.unlink(missing_ok=True)
        return
    try:
        database: Database = engine.connect(url)
    except errors.DatabaseError as error:
        raise DatabaseError(str(error), error.kind) from error
    try:
        rows.fill_postgresql(database, folder, backup.revision, backup.tables)
    except errors.DatabaseError as error:
        raise DatabaseError(str(error), error.kind) from error
    finally:
        database.close()
