"""Tiles of a snapshot as pictures with their annotations, drawn when they are looked at."""

from collections.abc import Sequence
from typing import overload

import numpy as np
import shapely
from numpy.typing import NDArray

from maploop.dataset.manifest import imageless_tiles, untrainable_tiles
from maploop.dataset.parts import tile_parts
from maploop.dataset.reading import Sources
from maploop.dataset.seen import Sight, look_at, sources_by_index, without_unseen
from maploop.dataset.snapshot import Indices, Snapshot
from maploop.dataset.split import Split
from maploop.errors import InputError, LicenceError
from maploop.imagery.render import over_black, render_some
from maploop.imagery.tilemath import Tile
from maploop.predict.labels import Example, LabelledGeometry
from maploop.vectors.geometry import as_geometries


def tiles_with_pixels(snapshot: Snapshot, split: Split) -> Indices:
    """Indices of the tiles of a split that have imagery on terms that allow training.

    Raises LicenceError or InputError when there are none to train on; of the other splits there may be none.
    """
    barred = untrainable_tiles(snapshot)
    left_out = {name for tiles in (barred | imageless_tiles(snapshot)).values() for name in tiles}
    tiles = np.flatnonzero(snapshot.tiles.split == split).tolist()
    kept = [index for index in tiles if str(snapshot.tile(index)) not in left_out]
    if not kept and split == "train":
        if barred:
            msg = f"No tile may be trained on: {'; '.join(barred)}."
            raise LicenceError(msg)
        msg = "The dataset has no train tile with imagery: approve tiles in other places too, and export again."
        raise InputError(msg)
    return np.array(kept, dtype=np.int64)


def examples_with_pixels(snapshot: Snapshot, tiles: Indices, sources: Sources) -> tuple[Snapshot, Indices, Sight]:
    """Look at some tiles -> the snapshot without annotations on bare ground, the tiles that have pixels, what was seen.

    Raises ConflictError when the imagery is not what it was when it was frozen.
    """
    sight = look_at(snapshot, tiles, sources_by_index(snapshot, sources))
    seen, _ = without_unseen(snapshot, sight.coverages)
    return seen, sight.with_pixels(tiles), sight


class TileExamples(Sequence[Example]):
    """Some tiles of a snapshot, each a picture (RGB) and its annotations cut at the tile, in its pixels.

    Looking at one raises NoPixelsError where the imagery has nothing, ImageryError when it fails, ConflictError when
    it is not what it was when it was frozen.
    """

    def __init__(self, snapshot: Snapshot, tiles: Indices, sources: Sources) -> None:
        self._snapshot = snapshot
        self._tiles = tiles.tolist()
        self._source_of = sources_by_index(snapshot, sources)
        parts = tile_parts(snapshot, tiles)
        size = snapshot.contract.image_size
        self._annotated: dict[int, list[LabelledGeometry]] = {index: [] for index in self._tiles}
        names = [each.name for each in snapshot.classes]
        scaled = as_geometries(shapely.transform(parts.geometries, lambda points: points * size))
        for tile, feature, geometry in zip(parts.tile.tolist(), parts.feature.tolist(), scaled, strict=True):
            name = names[int(snapshot.features.class_index[feature])]
            self._annotated[tile].append(LabelledGeometry(name, geometry))

    def __len__(self) -> int:
        return len(self._tiles)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        tile = self._tiles[index]
        return self.pixels(tile), self._annotated[tile]

    def address(self, index: int) -> Tile:
        """The tile of an example."""
        return self._snapshot.tile(self._tiles[index])

    def pixels(self, tile: int) -> NDArray[np.uint8]:
        """RGB pixels of a tile of the snapshot."""
        source = self._source_of(int(self._snapshot.tiles.imagery[tile]))
        pixels = render_some(source, self._snapshot.tile(tile), self._snapshot.contract.image_size)
        return over_black(pixels.rgba)
