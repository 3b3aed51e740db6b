"""A model of areas as a predictor: neighbouring tiles are looked at as one picture, so that features are whole."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from maploop.errors import ImageryError
from maploop.imagery.render import over_black
from maploop.imagery.tilemath import Tile, from_pixels
from maploop.predict.drawing import PredictedFeature
from maploop.predict.pixels import REACH
from maploop.predict.predictor import Assignment, Failure, FoundFeature, Outcome, Usage

BLOCK_ZOOMS: Final = 3  # at most 8 x 8 tiles in one picture: about 100 MB
MARGIN: Final = REACH + 48  # pixels around a picture: as far as the model looks, and what juts out of its tiles


ReadWindow = Callable[[int, int, int, int], NDArray[np.uint8]]
"""(left, top, width, height) in pixels, always inside the raster -> uint8 (height, width, 3)."""


class AreaModel(Protocol):
    """Finds the features of a picture of any size."""

    @property
    def classes(self) -> Mapping[str, str]:
        """Class name -> geometry type, of what it looks for."""
        ...

    def predict_area(
        self, read: ReadWindow, width: int, height: int, *, progress: Callable[[float], None] | None = None
    ) -> list[PredictedFeature]:
        """Features in pixels of the picture, each once and whole; `progress` hears how much is done, and may raise."""
        ...


class _StoppedError(Exception):
    """Nobody wants the rest."""


@dataclass(frozen=True)
class _Picture:
    """RGB pixels of some tiles and what surrounds them; `left`, `top`: of the picture, in pixels of the first tile."""

    rgb: NDArray[np.uint8]
    first: Tile
    left: int
    top: int
    failures: dict[Tile, Failure]


class WholeAreaPredictor:
    """A model that maps tiles block by block.

    A feature that reaches over the border of its block is whole as far as the margin goes, pixels around the picture
    that are looked at too, and comes once; lines end at the border.
    """

    prompt_hash = ""

    def __init__(self, model: AreaModel, margin: int = MARGIN) -> None:
        self._model = model
        self._margin = margin

    @property
    def class_names(self) -> Collection[str]:
        """The classes the model was trained for."""
        return self._model.classes

    def predict(self, assignment: Assignment) -> Iterator[Sequence[Outcome]]:
        """One block after another; see `predictor.Predictor`."""
        for group in _groups(assignment.tiles):
            if assignment.stopped():
                return
            try:
                yield self._outcomes(assignment, group)
            except _StoppedError:
                return

    def _outcomes(self, assignment: Assignment, tiles: list[Tile]) -> list[Outcome]:
        started = time.perf_counter()
        picture = picture_of(assignment, tiles, self._margin)
        found: dict[Tile, list[FoundFeature]] = {tile: [] for tile in tiles}
        if picture.rgb.size and len(picture.failures) < len(tiles):
            for feature, owner in self._placed(assignment, tiles, picture):
                found[owner].append(feature)
        usage = Usage(seconds=(time.perf_counter() - started) / len(tiles))
        return [
            Outcome(
                tile, () if tile in picture.failures else tuple(found[tile]), picture.failures.get(tile), usage=usage
            )
            for tile in tiles
        ]

    def _placed(
        self, assignment: Assignment, tiles: list[Tile], picture: _Picture
    ) -> Iterator[tuple[FoundFeature, Tile]]:
        """Features on the tiles, each with the tile that it counts for."""
        height, width = picture.rgb.shape[:2]

        def read(left: int, top: int, wide: int, high: int) -> NDArray[np.uint8]:
            return picture.rgb[top : top + high, left : left + wide]

        def progress(share: float) -> None:
            if assignment.stopped():
                raise _StoppedError
            assignment.report(share * len(tiles))

        size = assignment.size
        squares = {
            tile: shapely.box(x, y, x + size, y + size)
            for tile in tiles
            for x, y in [((tile.x - picture.first.x) * size, (tile.y - picture.first.y) * size)]
        }
        ground = shapely.union_all(list(squares.values()))
        elsewhere = (set(assignment.tiles) | assignment.done) - set(tiles)
        for each in self._model.predict_area(read, width, height, progress=progress):
            whole = translate(each.geometry, picture.left, picture.top)
            for part in _on_ground(whole, ground):
                middle = part.interpolate(0.5, normalized=True) if part.geom_type == "LineString" else part.centroid
                anchor = _tile_at(middle, picture.first, size)
                if anchor in squares:
                    owner = anchor
                elif anchor in elsewhere:
                    continue  # that tile's own block has it
                else:
                    owner = max(tiles, key=lambda tile: _shared(part, squares[tile]))
                yield FoundFeature(each.class_name, from_pixels(part, picture.first, size), each.score), owner


def _groups(tiles: Sequence[Tile]) -> Iterator[list[Tile]]:
    """Neighbouring tiles of one block, block by block."""

    def block_of(tile: Tile) -> Tile:
        return tile.parent(max(0, tile.z - BLOCK_ZOOMS))

    for _, group in groupby(sorted(tiles, key=lambda tile: tile.quadkey), key=block_of):
        members = list(group)
        x0, y0 = min(tile.x for tile in members), min(tile.y for tile in members)
        columns, rows = max(tile.x for tile in members) - x0 + 1, max(tile.y for tile in members) - y0 + 1
        wanted = np.zeros((rows, columns), dtype=np.bool_)
        for tile in members:
            wanted[tile.y - y0, tile.x - x0] = True
        numbers, count = ndimage.label(wanted, structure=np.ones((3, 3)))
        for number in range(1, count + 1):
            yield [tile for tile in members if numbers[tile.y - y0, tile.x - x0] == number]


def picture_of(assignment: Assignment, tiles: list[Tile], margin: int = MARGIN) -> _Picture:
    """The tiles' bounds and a margin around, cut down to where there is imagery; tiles that cannot be read failed."""
    size = assignment.size
    x0, y0 = min(tile.x for tile in tiles), min(tile.y for tile in tiles)
    x1, y1 = max(tile.x for tile in tiles) + 1, max(tile.y for tile in tiles) + 1
    wide, high = (x1 - x0) * size + 2 * margin, (y1 - y0) * size + 2 * margin
    rgb = np.zeros((high, wide, 3), dtype=np.uint8)
    seen = np.zeros((high, wide), dtype=np.bool_)
    asked, failures = set(tiles), {}
    last = 2 ** tiles[0].z - 1
    reach = -(-margin // size)
    for y in range(max(0, y0 - reach), min(last, y1 - 1 + reach) + 1):
        for x in range(max(0, x0 - reach), min(last, x1 - 1 + reach) + 1):
            tile = Tile(tiles[0].z, x, y)
            try:
                rgba = assignment.pixels(tile)
            except ImageryError as error:
                if tile in asked:
                    failures[tile] = Failure("imagery", str(error))
                continue
            if tile in asked and not rgba[..., 3].any():
                failures[tile] = Failure("imagery", f"The imagery has no pixels for {tile}: use other imagery there.")
            left, top = (x - x0) * size + margin, (y - y0) * size + margin
            rows, columns = slice(max(0, top), top + size), slice(max(0, left), left + size)
            part = rgba[max(0, -top) :, max(0, -left) :][: high - rows.start, : wide - columns.start]
            rgb[rows, columns] = over_black(part)
            seen[rows, columns] = part[..., 3] > 0
    down, across = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    first = Tile(tiles[0].z, x0, y0)
    if not len(down):
        return _Picture(rgb[:0, :0], first, 0, 0, failures)
    top, left = int(down[0]), int(across[0])
    cut = rgb[top : int(down[-1]) + 1, left : int(across[-1]) + 1]
    return _Picture(cut, first, left - margin, top - margin, failures)


def _on_ground(geometry: BaseGeometry, ground: BaseGeometry) -> list[BaseGeometry]:
    """The geometry if it touches the ground, whole; of a line only what is on it."""
    if not geometry.intersects(ground):
        return []
    if geometry.geom_type != "LineString":
        return [geometry]
    inside = shapely.get_parts(geometry.intersection(ground))
    return [part for part in inside if part.geom_type == "LineString" and part.length > 0]


def _tile_at(point: BaseGeometry, first: Tile, size: int) -> Tile | None:
    last = 2**first.z - 1
    right, down = shapely.get_coordinates(point)[0]
    x, y = first.x + int(right // size), first.y + int(down // size)
    return Tile(first.z, x, y) if 0 <= x <= last and 0 <= y <= last else None


def _shared(part: BaseGeometry, square: BaseGeometry) -> float:
    shared = part.intersection(square)
    return float(shared.area + shared.length) - float(part.distance(square))
