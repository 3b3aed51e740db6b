"""Bringing a store back from a backup: whole or not at all, and never over what is there unless told."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

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
                target = _target(folder, name)
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                extract(archive, backup, name, target)
            with _checked(folder / "database", backup, url):
                replaced = _move_away(there, data) if there else None
                for top in tops:
                    (folder / "files" / top).replace(data / top)
                if place is not None:
                    _put_file(folder / "database" / DATABASE, place)
    database = open_database(url)
    progress("Verifying what was restored")
    return backup, verify_store(database, progress), replaced


def _target(folder: Path, name: str) -> Path:
    """Where a file of the archive is unpacked to. Raises InputError when that is outside the folder."""
    target = folder / "files" / safe_path(name) if name.startswith(DATA) else folder / "database" / name
    if not target.resolve().is_relative_to(folder.resolve()):
        msg = f"{name!r} leads out of the data folder: this backup was not made by Maploop."
        raise InputError(msg)
    return target


def _taken(data: Path, tops: list[str], place: Path | None) -> list[Path]:
    """List what a restore would overwrite."""
    found = [data / top for top in tops if (data / top).exists()]
    if place is not None:
        beside = [place.with_name(place.name + suffix) for suffix in ("", "-wal", "-shm")]
        found += [each for each in beside if each.exists() and (each != place or each.stat().st_size)]
    return found


@contextmanager
def _checked(folder: Path, backup: Backup, url: str) -> Iterator[None]:
    """Files are put in their places within the block: when the database is what the manifest says, and not before.

    PostgreSQL is filled first, and keeps the rows when the block ends. Raises InputError, DatabaseError.
    """
    rows.check_revision(backup.revision)
    if backup.kind == "sqlite":
        _check_copy(folder / DATABASE, backup)
        yield
        return
    try:
        database: Database = engine.connect(url)
        try:
            with rows.filled_postgresql(database, folder, backup.revision, backup.tables) as connection:
                rows.check_head(connection, backup.head, backup.links)
                yield
        finally:
            database.close()
    except errors.DatabaseError as error:
        raise DatabaseError(str(error), error.kind) from error


def _check_copy(path: Path, backup: Backup) -> None:
    """An SQLite copy has to be sound, and what the manifest says, before it takes anything's place.

    Raises DatabaseError when it is damaged, InputError when it is another database.
    """
    try:
        copy = engine.connect(f"sqlite:///{path}")
        try:
            with copy.read() as connection:
                said: Any = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
                if said == "ok":
                    heads = MigrationContext.configure(connection).get_current_heads()
                    if heads != (backup.revision,) or not inspect(connection).has_table("chain_link"):
                        msg = (
                            f"The database in the backup is at revision {', '.join(heads) or 'none'}, its manifest "
                            f"says {backup.revision}: it was not made by Maploop."
                        )
                        raise InputError(msg)
                    rows.check_head(connection, backup.head, backup.links)
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


def _put_file(copy: Path, place: Path) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.unlink(missing_ok=True)  # an empty file that opening it left
    draft = place.with_name(f".{place.name}.{uuid4().hex}")
    try:
        shutil.move(copy, draft)
        draft.chmod(0o600)
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)
