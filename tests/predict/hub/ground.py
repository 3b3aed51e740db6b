"""Painted ground for networks: red houses and a pale track on green."""

import numpy as np
from numpy.typing import NDArray

from maploop.errors import ImageryError
from maploop.imagery.info import ImagerySource, SourceInfo
from maploop.imagery.tilemath import Tile
from tests.builders import CORNER

GREEN, RED, PALE = (90, 120, 60), (180, 70, 50), (220, 210, 190)
SIZE = 512
WHY = "the extra `transformers` is not installed; make test-transformers installs it"


def painted(seed: int, side: int = 64) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A picture and what its pixels are: 0 ground, 1 house, 2 track."""
    rng = np.random.default_rng(seed)
    image = np.full((side, side, 3), GREEN, dtype=np.float64)
    labels = np.zeros((side, side), dtype=np.int64)
    middle = int(rng.integers(side // 4, 3 * side // 4))
    image[middle : middle + side // 12], labels[middle : middle + side // 12] = PALE, 2
    for _ in range(3):
        left, top = rng.integers(0, side - side // 4, 2)
        wide, high = rng.integers(side // 6, side // 4, 2)
        image[top : top + high, left : left + wide], labels[top : top + high, left : left + wide] = RED, 1
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8), labels


class Town:
    """Imagery of 8 x 1 tiles from `CORNER` on; shapes are given in pixels of it."""

    def __init__(self, size: int = SIZE) -> None:
        self.info = SourceInfo("geotiff", "/town.tif", None, 0, 20)
        self.fingerprint = "town"
        self.pixels = np.full((size, 8 * size, 3), GREEN, dtype=np.uint8)
        self.size = size
        self.broken: set[Tile] = set()

    def paint(self, left: int, top: int, right: int, bottom: int, colour: tuple[int, int, int] = RED) -> None:
        self.pixels[top:bottom, left:right] = colour

    def read(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        if tile in self.broken:
            msg = f"{tile} is torn."
            raise ImageryError(msg)
        left = (tile.x - CORNER.x) * size
        alpha = np.full((size, size, 1), 255, dtype=np.uint8)
        return np.concatenate([self.pixels[:, left : left + size], alpha], axis=2)

    def source_of(self, tile: Tile) -> ImagerySource | None:
        return self if tile.y == CORNER.y and 0 <= tile.x - CORNER.x < 8 else None
