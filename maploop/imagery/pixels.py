"""How much of a tile has pixels, and which features lie on ground that has some."""

import zlib
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image
from rasterio.features import shapes
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from maploop.imagery.tilemath import Tile, to_pixels

MASK_SIDE = 128  # cells a side of the kept mask: 0.6 m at zoom 19 near the equator
_HALF = 128  # of 255: a cell has pixels where at least half of its area has
_PACKED_BYTES = MASK_SIDE * MASK_SIDE // 8


@dataclass(frozen=True)
class PixelCoverage:
    """The share of a tile that has pixels, 0 to 1, and where they are.

    `mask` is MASK_SIDE x MASK_SIDE bits, row by row from the north-west, packed and compressed by zlib; empty where the
    tile is wholly covered or wholly bare.
    """

    share: float
    mask: bytes = b""

    def cells(self) -> NDArray[np.bool_]:
        """Which cells have pixels, (MASK_SIDE, MASK_SIDE), row by row from the north-west."""
        if not self.mask:
            return np.full((MASK_SIDE, MASK_SIDE), self.share > 0, dtype=np.bool_)
        packed = zlib.decompressobj().decompress(self.mask, _PACKED_BYTES)
        return np.unpackbits(np.frombuffer(packed, dtype=np.uint8)).astype(np.bool_).reshape(MASK_SIDE, MASK_SIDE)

    def ground(self) -> BaseGeometry:
        """The part of the tile that has pixels, in tile sides: 0, 0 is its north-west corner, 1, 1 its south-east."""
        if not self.mask:
            return shapely.box(0, 0, 1, 1) if self.share > 0 else shapely.Polygon()
        cells = self.cells()
        parts = [shape(part) for part, _ in shapes(cells.astype(np.uint8), mask=cells)]
        ground: BaseGeometry = shapely.transform(shapely.union_all(parts), lambda points: points / MASK_SIDE)
        return ground

    def under(self, geometries: NDArray[np.object_], tile: Tile) -> NDArray[np.bool_]:
        """Which EPSG:4326 features have pixels under at least some of what lies on the tile, (n,)."""
        if not self.mask:
            return np.full(len(geometries), self.share > 0, dtype=np.bool_)
        ground = self.ground()
        shapely.prepare(ground)
        seen = np.zeros(len(geometries), dtype=np.bool_)
        for index, geometry in enumerate(geometries):
            drawn = to_pixels(geometry, tile, 1)
            if not shapely.intersects(ground, drawn):
                continue
            part = shapely.intersection(drawn, ground)
            dimensions = int(shapely.get_dimensions(drawn))
            seen[index] = (not part.is_empty, part.length > 0, part.area > 0)[dimensions]
        return seen


WHOLE = PixelCoverage(1.0)
BARE = PixelCoverage(0.0)


def coverage_of(rgba: NDArray[np.uint8]) -> PixelCoverage:
    """Measure RGBA pixels of a whole tile, (size, size, 4): those that are not wholly transparent count."""
    seen = rgba[..., 3] > 0
    count = int(np.count_nonzero(seen))
    if count == seen.size:
        return WHOLE
    if not count:
        return BARE
    image = Image.fromarray(seen.astype(np.uint8) * 255).resize((MASK_SIDE, MASK_SIDE), Image.Resampling.BOX)
    packed = np.packbits(np.asarray(image) >= _HALF).tobytes()
    return PixelCoverage(count / seen.size, zlib.compress(packed))
