"""What a writer of a format is given: the snapshot, which tiles go where, their pictures, and a folder of its own."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from maploop.checksums import sha256_of
from maploop.contract import picture_from, picture_of
from maploop.dataset.reading import Sources
from maploop.dataset.seen import sources_by_index
from maploop.dataset.snapshot import SPLITS, Indices, Snapshot
from maploop.dataset.split import Split
from maploop.errors import ConflictError
from maploop.imagery.info import ImagerySource
from maploop.imagery.pixels import PixelCoverage
from maploop.imagery.render import TilePixels

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
    coverages   where tiles have pixels, by index: of a tile that is not among them nobody knows
    steps_before  steps of the work that were done before the writer began
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
    coverages: dict[int, PixelCoverage] = field(default_factory=dict)
    steps_before: int = 0
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    files: list[ExportedFile] = field(default_factory=list)

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
        self.progress(self.steps_before + done, self.steps_before + total, text)

    def picture(self, tile: int) -> bytes:
        """The image of a tile as the model sees it: kept when it was looked at, else rendered now.

        Raises ImageryError, or ConflictError when its pixels changed.
        """
        kept = self._picture_path(tile)
        if kept.exists():
            return kept.read_bytes()
        index = int(self.snapshot.tiles.imagery[tile])
        return picture_of(self.source(index), self.snapshot.tile(tile), self.snapshot.contract)

    def keep_picture(self, tile: int, pixels: TilePixels) -> None:
        """Keep the image of a tile beside the export until it is written, so that no tile is rendered twice."""
        path = self._picture_path(tile)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture_from(pixels.rgba, self.snapshot.contract))

    def _picture_path(self, tile: int) -> Path:
        return self.folder.parent / "pictures" / str(tile)

    @cached_property
    def source(self) -> Callable[[int], ImagerySource]:
        """Opens the imagery of an index of the snapshot, see `seen.sources_by_index`."""
        return sources_by_index(self.snapshot, self.sources)

    def path(self, name: str) -> Path:
        """Where a file of the export is written; its folders are made."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def add(self, name: str, examples: int) -> None:
        """Take a written file into the export's list."""
        self.files.append(ExportedFile(name, sha256_of(self.folder / name), examples))
