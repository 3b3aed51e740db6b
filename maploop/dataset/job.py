"""What a writer of a format is given: the snapshot, which tiles go where, their pictures, and a folder of its own."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from maploop.checksums import sha256_of
from maploop.contract import picture_of
from maploop.dataset.reading import Sources
from maploop.dataset.snapshot import SPLITS, Indices, Snapshot
from maploop.dataset.split import Split
from maploop.errors import ConflictError
from maploop.imagery.info import ImagerySource

T = TypeVar("T")


class ExportCancelledError(ConflictError):
    """Somebody changed their mind: nothing was written."""


@dataclass(frozen=True)
class ExportedFile:
    """A file of an export; `examples`: lines, tiles or features in it, as the format counts them."""

    name: str
    sha256: str
    examples: int

    def to_json(self) -> dict[str, Any]:
        """As the CLI and the manifest show it."""
        return {"name": self.name, "sha256": self.sha256, "examples": self.examples}


def tiles_are(count: int) -> str:
    """`1 tile is` or `12 tiles are`, to begin a sentence for people."""
    return "1 tile is" if count == 1 else f"{count:,} tiles are"


@dataclass
class Job:
    """One export under way.

    split       the one asked for; None: all that the format holds
    tiles       indices of the tiles that go in, by split: all three are there, what is not wanted is empty
    notes       what a person should know of the files, one line each; writers add to it
    facts       what the manifest says of this format; writers add to it
    """

    dataset_id: str
    snapshot: Snapshot
    folder: Path
    split: Split | None
    tiles: dict[Split, Indices]
    sources: Sources
    progress: Callable[[int, int, str], None]
    cancelled: Callable[[], bool]
    with_images: bool = False
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    files: list[ExportedFile] = field(default_factory=list)
    _opened: dict[int, ImagerySource] = field(default_factory=dict)

    @property
    def all_tiles(self) -> Indices:
        """Indices of all tiles that go in, in the order of the snapshot."""
        return np.sort(np.concatenate([self.tiles[split] for split in SPLITS]))

    def splits(self, *usual: Split) -> tuple[Split, ...]:
        """The splits that get a file each: the one asked for, or those the format usually has."""
        return (self.split,) if self.split else usual

    def each(self, items: Iterable[T], total: int, text: str) -> Iterator[T]:
        """Go through items, telling how far. Raises ExportCancelledError."""
        for done, item in enumerate(items):
            self.step(done, total, text)
            yield item
        self.step(total, total, text)

    def step(self, done: int, total: int, text: str) -> None:
        """Say how far the work is. Raises ExportCancelledError."""
        if self.cancelled():
            msg = "The export was cancelled: nothing was written."
            raise ExportCancelledError(msg)
        self.progress(done, total, text)

    def picture(self, tile: int) -> bytes:
        """The image of a tile as the model sees it. Raises ImageryError, or ConflictError when its pixels changed."""
        index = int(self.snapshot.tiles.imagery[tile])
        return picture_of(self._source(index), self.snapshot.tile(tile), self.snapshot.contract)

    def _source(self, index: int) -> ImagerySource:
        if index not in self._opened:
            imagery = self.snapshot.imagery[index]
            source = self.sources(imagery.id)
            if source.fingerprint != imagery.fingerprint:
                msg = f"The imagery {imagery.name} has changed since the dataset was frozen: freeze a new one."
                raise ConflictError(msg)
            self._opened[index] = source
        return self._opened[index]

    def path(self, name: str) -> Path:
        """Where a file of the export is written; its folders are made."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def add(self, name: str, examples: int) -> None:
        """Take a written file into the export's list."""
        self.files.append(ExportedFile(name, sha256_of(self.folder / name), examples))
