"""Files below a folder, as far as a dataset goes: links are not followed, and a disk is not searched."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from maploop.errors import VectorError

MAX_ENTRIES: Final = 500_000


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, by folders from the top. Raises VectorError when there are too many to be one
    dataset, or a part of it cannot be listed.
    """
    seen = 0
    for base, names, files in os.walk(folder, onerror=_refuse):
        names.sort()
        seen += len(files) + 1
        if seen > MAX_ENTRIES:
            msg = f"{folder} holds more than {MAX_ENTRIES:,} files: give the folder of the dataset itself."
            raise VectorError(msg)
        for name in sorted(files):
            path = Path(base, name)
            with suppress(OSError):
                if path.is_file():
                    yield path


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, by name. Raises VectorError when it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir())
    except OSError as error:
        _refuse(error)


def _refuse(error: OSError) -> NoReturn:
    msg = f"{error.filename} cannot be listed ({error.strerror}): give the folder of the dataset itself."
    raise VectorError(msg) from error
