"""Imagery that came through the browser: kept in the data folder, each file in a place of its own."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maploop.settings import get_settings

LONGEST_STEM = 60  # characters; at most four bytes each, of the 255 that file systems allow


def file_name(told: str) -> str:
    """The name a browser gave a file, fit to be one here: no folders, not too long."""
    path = Path(told.replace("\\", "/").rpartition("/")[2])
    return (path.stem[:LONGEST_STEM].lstrip(".") or "upload") + path.suffix[:LONGEST_STEM]


@contextmanager
def kept(name: str, upload: Path) -> Iterator[Path]:
    """A file in the data folder, whole, never in another's place; gone again when what is done with it fails."""
    with upload.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    folder = get_settings().imagery_folder.resolve() / digest
    target = folder / file_name(name)
    was_there = target.exists()
    if not was_there:
        folder.mkdir(parents=True, exist_ok=True)
        draft = target.with_suffix(".part")
        draft.unlink(missing_ok=True)
        try:
            draft.hardlink_to(upload)
        except OSError:  # another file system
            shutil.copyfile(upload, draft)
        draft.replace(target)
    try:
        yield target
    except BaseException:
        if not was_there:
            shutil.rmtree(folder, ignore_errors=True)
        raise
