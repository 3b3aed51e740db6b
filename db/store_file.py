"""The SQLite file that was opened: whether it, and not another or none, still lies where it lay."""

import os
import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

APPLICATION_ID = 0x4D41504C  # "MAPL"
_MAGIC = b"SQLite format 3\0"
_STORE_NUMBER = slice(60, 64)  # of the header: what SQLite calls user_version, drawn once for every store
_APPLICATION_ID = slice(68, 72)
_HEADER_BYTES = 100

Inode = tuple[int, int]


@dataclass
class _Handle:
    descriptor: int
    users: int


# One handle a file and process: to close any handle on a file takes away the locks that SQLite holds on it.
_handles: dict[Inode, _Handle] = {}
_opening = threading.Lock()


class StoreFile:
    """An SQLite file by its inode and the two numbers in its header, and its log by its inode.

    Whoever removes or replaces the file leaves SQLite writing to one that nobody finds again, and SQLite says nothing.
    """

    def __init__(self, path: Path) -> None:
        """Note the file that lies there now. Raises OSError."""
        self.path = path
        self._inode = _inode(path)
        with _opening:
            handle = _handles.get(self._inode)
            if handle is None:
                handle = _Handle(os.open(path, os.O_RDONLY | os.O_CLOEXEC), 0)
                _handles[self._inode] = handle
            handle.users += 1
        self._descriptor = handle.descriptor
        self._is_open = True
        self._first = self._numbers()
        self._own: bytes | None = None
        self._companions: dict[Path, Inode] = {}
        self._anchor: sqlite3.Connection | None = None

    def settle(self) -> None:
        """Note the numbers and the log of a database that is Maploop's; an open connection keeps the log in place."""
        if self._anchor is None:
            self._anchor = sqlite3.connect(uri_of(self.path), uri=True, check_same_thread=False)
        # `is` Maploop's once it was upgraded, which draws the number; the header on disk follows at a checkpoint.
        number, application = (
            self._anchor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id")
        )
        self._own = int(number).to_bytes(4, "big") + int(application).to_bytes(4, "big")
        for suffix in ("-wal", "-shm"):
            beside = self.path.with_name(self.path.name + suffix)
            with suppress(FileNotFoundError):
                self._companions[beside] = _inode(beside)

    def problem(self) -> str:
        """The reason why what is written now would not be found again; empty when all is well."""
        try:
            if _inode(self.path) != self._inode:
                return f"{self.path} is another file by now"
            for path, inode in self._companions.items():
                if _inode(path) != inode:
                    return f"{path} is another file by now"
        except FileNotFoundError as error:
            return f"{error.filename} is not there any more"
        except OSError as error:
            return f"{error.filename}: {error.strerror}"
        if self._own is None:  # an upgrade is under way, which writes them
            return ""
        numbers = self._numbers()
        if numbers == self._own:
            self._first = numbers  # the header is on disk by now, and stays as it is
        return "" if numbers == self._first else f"{self.path} was overwritten"

    def _numbers(self) -> bytes:
        """The two numbers of the header; empty when it is not the header of a database, nor of an empty file."""
        header = os.pread(self._descriptor, _HEADER_BYTES, 0)
        if header and not header.startswith(_MAGIC):
            return b"overwritten"
        return header[_STORE_NUMBER] + header[_APPLICATION_ID]

    def close(self) -> None:
        """Let the file go."""
        if self._anchor is not None:
            self._anchor.close()
            self._anchor = None
        with _opening:
            handle = _handles.get(self._inode)
            if handle is None or not self._is_open:
                return
            self._is_open = False
            handle.users -= 1
            if not handle.users:
                os.close(handle.descriptor)
                del _handles[self._inode]


def _inode(path: Path) -> Inode:
    status = os.stat(path)  # noqa: PTH116  three times as fast as pathlib's, with every commit
    return status.st_dev, status.st_ino


def uri_of(path: Path, mode: str = "rw") -> str:
    """SQLite's address of a file; `rw` never makes one, `rwc` does."""
    return f"{path.absolute().as_uri()}?mode={mode}"
