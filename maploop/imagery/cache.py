"""Where drawn tiles are kept: a bounded memory cache, a bounded folder, and one maker at a time for each."""

import hashlib
import itertools
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

DIGEST_BYTES = 16
KEEP_SHARE = 0.9  # of the bound that is left after a clean-up
STALE_SECONDS = 3600.0  # an unfinished file this old belongs to a process that died


T = TypeVar("T")


class MemoryCache:
    """The latest used values up to so many bytes; safe to use from many threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._values: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """The value of a key, which is now the latest used; None when it is not kept."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: str, value: bytes) -> None:
        """Keep a value and let the longest unused go; a value larger than the whole cache is not kept."""
        if len(value) > self._max_bytes:
            return
        with self._lock:
            self._bytes += len(value) - len(self._values.pop(key, b""))
            self._values[key] = value
            while self._bytes > self._max_bytes:
                _, dropped = self._values.popitem(last=False)
                self._bytes -= len(dropped)

    @property
    def size(self) -> int:
        """Bytes kept."""
        return self._bytes


class DiskCache:
    """Values in a folder up to so many bytes; shared by threads and processes, and still there after a restart.

    A value is written beside and renamed, and carries its digest: a reader sees all of it or nothing.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._bytes: int | None = None  # counted when first written to
        self._lock = threading.Lock()
        self._serial = itertools.count()

    def get(self, key: str) -> bytes | None:
        """The value of a key; None when it is not there or damaged."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        digest, value = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        if digest != _digest(value):
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)
        return value

    def put(self, key: str, value: bytes) -> None:
        """Keep a value; a full or read-only disk is not an error, since everything here can be made again."""
        path = self._path(key)
        part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}-{next(self._serial)}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(_digest(value) + value)
            part.replace(path)
        except OSError:
            with suppress(OSError):
                part.unlink()
            return
        with self._lock:
            if self._bytes is None:
                self._bytes = sum(size for _, size, _ in self._files())
            else:
                self._bytes += len(value) + DIGEST_BYTES
            if self._bytes > self._max_bytes:
                self._bytes = self._clean()

    def _clean(self) -> int:
        """Remove the longest unused until the share to keep is left; returns the bytes left, counted afresh."""
        files = sorted(self._files())
        left = sum(size for _, size, _ in files)
        for _, size, path in files:
            if left <= self._max_bytes * KEEP_SHARE:
                break
            with suppress(OSError):  # another process may be cleaning too
                path.unlink()
            left -= size
        return left

    def _files(self) -> list[tuple[float, int, Path]]:
        """Last use, bytes and path of every value; unfinished files of dead processes are removed."""
        found = []
        for path in self._folder.glob("??/*"):
            with suppress(OSError):
                status = path.stat()
                if path.suffix != ".part":
                    found.append((status.st_mtime, status.st_size, path))
                elif time.time() - status.st_mtime > STALE_SECONDS:
                    path.unlink()
        return found

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._folder / name[:2] / name[2:]


class SingleFlight:
    """Of many who want the same thing at once, the first makes it and the others wait for it."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def do(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result of `make`, or of the one under way for the same key; its error is everybody's error."""
        with self._lock:
            flight = self._flights.get(key)
            first = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if first:
            try:
                flight.set_result(make())
            except BaseException as error:
                flight.set_exception(error)
                raise
            finally:
                with self._lock:
                    del self._flights[key]
        result: T = flight.result()
        return result


def _digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=DIGEST_BYTES).digest()
