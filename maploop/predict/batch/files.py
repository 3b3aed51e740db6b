"""The requests of tiles as files of JSON lines, each under the server's limits; one line is in memory at a time."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

import orjson

from maploop.errors import InputError
from maploop.imagery.tilemath import Tile
from maploop.settings import get_settings

ENDPOINT: Final = "/v1/chat/completions"
_CUSTOM_ID: Final = re.compile(r"run-(\d+)/(\d+)/(\d+)/(\d+)")


@dataclass(frozen=True)
class Limits:
    """What a server takes in one file, which by default is what OpenAI takes."""

    requests: int = 50_000
    size: int = 200_000_000


def custom_id(run_id: int, tile: Tile) -> str:
    """The name of a request, which comes back with its answer."""
    return f"run-{run_id}/{tile}"


def tile_of(name: object, run_id: int) -> Tile | None:
    """The tile that a request of this run is about; None for anything else."""
    found = _CUSTOM_ID.fullmatch(name) if isinstance(name, str) and len(name) < 100 else None
    if found is None or int(found[1]) != run_id:
        return None
    try:
        return Tile(int(found[2]), int(found[3]), int(found[4]))
    except InputError:
        return None


def request_line(run_id: int, tile: Tile, body: Mapping[str, Any]) -> bytes:
    """One line of a file."""
    line = {"custom_id": custom_id(run_id, tile), "method": "POST", "url": ENDPOINT, "body": body}
    return orjson.dumps(line) + b"\n"


def batches_folder() -> Path:
    """Where files lie until the server has them, and while its results are read."""
    return get_settings().data / "batches"


def path_of(name: str) -> Path:
    """Where the file of a batch is, once it is whole."""
    return batches_folder() / f"{name}.jsonl"


@dataclass
class Draft:
    """A file under way, which becomes `path_of(name)` when it is whole; in a `with` block."""

    name: str
    limits: Limits
    tiles: list[Tile] = field(default_factory=list)
    size: int = 0
    _file: BinaryIO | None = None

    def fits(self, line: bytes) -> bool:
        """Whether there is room for a line; a file takes its first one whatever its size."""
        if not self.tiles:
            return True
        return len(self.tiles) < self.limits.requests and self.size + len(line) <= self.limits.size

    def add(self, tile: Tile, line: bytes) -> None:
        """Write a line."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb")
        self._file.write(line)
        self.tiles.append(tile)
        self.size += len(line)

    def finish(self) -> None:
        """The file is whole."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._path.replace(path_of(self.name))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        self._path.unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return batches_folder() / f".{self.name}.draft"


def clear_files(run_id: int, kept: Collection[str]) -> None:
    """Remove what killed processes of a run left behind, except the files of the batches named in `kept`."""
    for pattern in (f".maploop-run-{run_id}-*", f"maploop-run-{run_id}-*.jsonl"):
        for path in batches_folder().glob(pattern):
            if path.stem not in kept:
                path.unlink(missing_ok=True)
