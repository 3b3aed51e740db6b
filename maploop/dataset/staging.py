"""Files appear whole or not at all: written beside their place, then renamed; leftovers of the killed are cleared."""

import fcntl
import glob
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from maploop.errors import InputError

_STAGING = re.compile(r"\..+\.partial-[0-9a-f]{12}")


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, locked while in use and gone when the block ends, however it ends.

    What earlier processes left beside the same target when they were killed is removed first. Raises InputError when
    the folder cannot be made.
    """
    prefix = f".{target.name}.partial-"
    folder = target.parent / f"{prefix}{uuid4().hex[:12]}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(target.parent, prefix)
        folder.mkdir()
    except OSError as error:
        msg = f"{target.parent} cannot be written ({error.strerror}): choose another place."
        raise InputError(msg) from error
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def put_in_place(source: Path, target: Path, folder: Path) -> None:
    """Rename what was staged in `folder` to its target, whatever is there now."""
    if target.is_dir():
        target.rename(folder / uuid4().hex)  # goes with the staging folder
    source.replace(target)


def clear_leftovers(parent: Path, prefix: str = ".") -> None:
    """Remove staging folders that no living process holds: those of a target by its prefix, else all."""
    for left in parent.glob(f"{glob.escape(prefix)}*"):
        if not _STAGING.fullmatch(left.name):
            continue
        with suppress(OSError):
            lock = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(lock)
