"""Backups: database, models, datasets and signing key in one zip file, with a manifest of checksums."""

import contextlib
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from maploop.database import Database, is_database_file, sqlite_path
from maploop.dataset.manifest import versions
from maploop.dataset.staging import put_in_place, staged
from maploop.errors import ConflictError, InputError
from maploop.settings import get_settings
from maploop.store import rows
from maploop.store.verify import head_as_text

MANIFEST = "manifest.json"
DATABASE = "database.sqlite"
DATA = "data/"
FORMAT = 1
CACHES = ("cache", "embeddings")  # made again when they are missing
_PACKED = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".zip", ".parquet", ".model", ".gz"}
_BLOCK = 1 << 20
_TABLE = re.compile(r"[a-z][a-z0-9_]*")  # it becomes the name of a file

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Backup:
    """A backup by its manifest: `kind` of the database, its schema's `revision`, the end of its chain, and the files.

    `files`: path in the archive to (bytes, SHA-256). `tables`: for rows of PostgreSQL, the columns of each.
    """

    kind: str
    revision: str
    head: str
    links: int
    made_at: str
    files: dict[str, tuple[int, str]]
    tables: dict[str, list[str]]

    def to_json(self) -> dict[str, Any]:
        """As the command line prints it."""
        return {
            "database": self.kind,
            "revision": self.revision,
            "links": self.links,
            "head": self.head,
            "made_at": self.made_at,
            "files": len(self.files),
            "bytes": sum(size for size, _ in self.files.values()),
        }


def write_backup(
    database: Database, target: Path, *, replace: bool = False, progress: Progress = lambda _text: None
) -> Backup:
    """Copy the store into one file, which bears its name only once it is whole and on disk.

    Work may go on meanwhile: the database is copied as of one moment, and first, so that whatever it names is copied
    after it. Raises ConflictError when the file is there already, InputError when it cannot be written.
    """
    target = target.expanduser().absolute()
    if target.exists() and (target.is_dir() or not replace):
        msg = f"{target} is there already: choose another name" + ("." if target.is_dir() else ", or use --force.")
        raise ConflictError(msg)
    try:
        with staged(target) as folder:
            draft = folder / "backup.zip"
            with _private(draft) as file, zipfile.ZipFile(file, "w", allowZip64=True) as archive:
                backup = _fill(archive, database, folder, progress)
            _flush(draft)
            put_in_place(draft, target, folder)
            _flush(target.parent)
    except OSError as error:
        msg = f"{target} cannot be written ({error.strerror}): choose another place."
        raise InputError(msg) from error
    return backup


def _fill(archive: zipfile.ZipFile, database: Database, folder: Path, progress: Progress) -> Backup:
    files: dict[str, tuple[int, str]] = {}
    progress("Copying the database")
    copied = rows.copy_database(database, folder)
    for path in copied.files:
        files[path.name] = _add(archive, path, path.name)
        path.unlink()
    for path in kept_files(database):
        name = DATA + path.relative_to(get_settings().data_folder).as_posix()
        progress(f"Copying {name}")
        with contextlib.suppress(FileNotFoundError):  # a draft that was finished or dropped meanwhile
            files[name] = _add(archive, path, name)
    backup = Backup(
        kind="sqlite" if database.is_sqlite else "postgresql",
        revision=copied.revision,
        head=head_as_text(copied.head),
        links=copied.head.position,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        files=files,
        tables=copied.tables,
    )
    content = {
        "maploop_backup": FORMAT,
        "database": backup.kind,
        "revision": backup.revision,
        "chain": {"links": backup.links, "head": backup.head},
        "made_at": backup.made_at,
        "tables": backup.tables,
        "versions": versions(),
        "files": [{"path": name, "bytes": size, "sha256": digest} for name, (size, digest) in files.items()],
    }
    archive.writestr(MANIFEST, json.dumps(content, indent=1))
    return backup


def kept_files(database: Database) -> Iterator[Path]:
    """Files of the data folder that a backup holds: all but the database itself, caches, drafts and old copies."""
    folder = get_settings().data_folder
    own = sqlite_path(database.url)
    for parent, folders, names in os.walk(folder):
        at_top = Path(parent) == folder
        folders[:] = sorted(
            each
            for each in folders
            if not each.startswith(".") and not (at_top and (each in CACHES or each.startswith("replaced-")))
        )
        for name in sorted(names):
            path = Path(parent) / name
            is_database = own is not None and path.parent == own.parent and is_database_file(name, own)
            is_log = at_top and name.endswith(".log")
            if not (name.startswith(".") or is_database or is_log or path.is_symlink()):
                yield path


def read_backup(archive: zipfile.ZipFile, name: Path) -> Backup:
    """The manifest of a backup. Raises InputError when the file is no backup, or one of a later version."""
    try:
        content = json.loads(archive.read(MANIFEST))
        if content["maploop_backup"] != FORMAT:
            msg = f"{name} was made by a later version of Maploop: upgrade Maploop."
            raise InputError(msg)
        files = {each["path"]: (int(each["bytes"]), str(each["sha256"])) for each in content["files"]}
        backup = Backup(
            kind=content["database"],
            revision=content["revision"],
            head=content["chain"]["head"],
            links=content["chain"]["links"],
            made_at=content["made_at"],
            files=files,
            tables={str(table): list(columns) for table, columns in content["tables"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        msg = f"{name} is not a backup of Maploop: give a file that `maploop backup` wrote."
        raise InputError(msg) from error
    _check_names(backup, name)
    return backup


def _check_names(backup: Backup, name: Path) -> None:
    """Besides the data folder's, a backup holds the files of its database and no others. Raises InputError."""
    if backup.kind == "sqlite":
        wanted = {DATABASE}
    else:
        if odd := next((table for table in backup.tables if not _TABLE.fullmatch(table)), None):
            msg = f"{odd!r} is no name of a table: {name} was not made by Maploop."
            raise InputError(msg)
        wanted = {f"{table}.copy" for table in backup.tables}
    there = {each for each in backup.files if not each.startswith(DATA)}
    if not wanted or (lacking := sorted(wanted - there)):
        msg = f"{name} lacks its database" + (f" ({lacking[0]})" if wanted else "") + ": use another backup."
        raise InputError(msg)
    if more := sorted(there - wanted):
        msg = f"{more[0]!r} is no part of a backup: {name} was not made by Maploop."
        raise InputError(msg)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, Backup]]:
    """A backup to read from, its manifest read. Raises InputError when it is none, or damaged beyond reading."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive, read_backup(archive, path)
    except FileNotFoundError as error:
        msg = f"{path} is not there: give a file that `maploop backup` wrote."
        raise InputError(msg) from error
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        msg = f"{path} is not a whole backup ({error}): use another one."
        raise InputError(msg) from error


def check_backup(path: Path, progress: Progress = lambda _text: None) -> Backup:
    """Read every file of a backup and hold it to its checksum. Raises InputError naming the first that differs."""
    with opened(path) as (archive, backup):
        for name in backup.files:
            progress(f"Checking {name}")
            extract(archive, backup, name, None)
        return backup


def extract(archive: zipfile.ZipFile, backup: Backup, name: str, target: Path | None) -> None:
    """Write one file of a backup, or only read it. Raises InputError when it is not what the manifest says."""
    size, digest = backup.files[name]
    hashed, count = hashlib.sha256(), 0
    try:
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(archive.open(name))
            out = None if target is None else stack.enter_context(_private(target))
            while block := source.read(_BLOCK):
                count += len(block)
                if count > size:
                    break
                hashed.update(block)
                if out is not None:
                    out.write(block)
    except KeyError as error:
        msg = f"{name} is missing in the backup: use another one."
        raise InputError(msg) from error
    if count != size or hashed.hexdigest() != digest:
        msg = f"{name} in the backup is not what its manifest says: the backup is damaged, use another one."
        raise InputError(msg)
    if target is not None:
        _flush(target)


def safe_path(name: str) -> PurePosixPath:
    """A path within the data folder. Raises InputError for one that leads out of it."""
    path = PurePosixPath(name.removeprefix(DATA))
    if not name.startswith(DATA) or path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        msg = f"{name!r} leads out of the data folder: this backup was not made by Maploop."
        raise InputError(msg)
    return path


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> tuple[int, str]:
    """Copy a file into the archive -> its bytes and SHA-256."""
    info = zipfile.ZipInfo(name, datetime.now(UTC).timetuple()[:6])
    info.compress_type = zipfile.ZIP_STORED if path.suffix.lower() in _PACKED else zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    hashed, count = hashlib.sha256(), 0
    with path.open("rb") as source, archive.open(info, "w", force_zip64=True) as out:
        while block := source.read(_BLOCK):
            hashed.update(block)
            count += len(block)
            out.write(block)
    return count, hashed.hexdigest()


def _private(path: Path) -> BinaryIO:
    """A new file that only its owner may read: backups hold the signing key."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
