"""Which tiles of the working zoom have pixels: the ground that can be reviewed."""

from collections.abc import Iterator
from itertools import chain

import numpy as np

from maploop.errors import ImageryError
from maploop.imagery.geotiff import GeoTiffSource
from maploop.imagery.info import Bounds, ImagerySource
from maploop.imagery.tile_folder import TileFolderSource
from maploop.imagery.tilemath import MAX_ZOOM, Tile, count_tiles_covering, tiles_covering

MAX_TILES = 1_000_000
BLOCK_ZOOMS = 5  # a decimated read looks at 32 x 32 tiles at once,
PROBE = 16  # at this many pixels a tile
ENOUGH_ALPHA = 128
EDGE = 1e-9  # degrees; bounds that end on a tile's border do not reach the next tile


def covered_tiles(
    source: ImagerySource, zoom: int, *, bounds: Bounds | None = None, max_tiles: int = MAX_TILES
) -> Iterator[Tile]:
    """Tiles of `zoom` that have data, each once, within `bounds` (EPSG:4326) where given.

    Tiles that are wholly nodata are left out: a GeoTIFF is looked at in a decimated read, a folder by its file names.
    Remote sources cannot be looked through: all tiles of the bounds, which must be known. Raises ImageryError, at the
    call or while iterating, beyond `max_tiles`.
    """
    if not 0 <= zoom <= MAX_ZOOM:
        msg = f"Zoom {zoom} does not exist: use 0 to {MAX_ZOOM}."
        raise ImageryError(msg)
    if isinstance(source, GeoTiffSource) and len(source.areas) > 1:  # across 180 degrees
        sides = [_area(side, bounds) for side in source.areas]
        return chain.from_iterable(
            _inside(source, zoom, side, max_tiles) for side in sides if side and side[0] < side[2] and side[1] < side[3]
        )
    area = _area(source.info.bounds, bounds)
    if isinstance(source, TileFolderSource):
        inside = source.tiles_at(zoom) if bounds is None else _within(source.tiles_at(zoom), bounds)
        return _capped(inside, zoom, max_tiles)
    if area is None:
        msg = f"{source.info.kind.upper()} imagery does not say where it has tiles: give the bounds of the project."
        raise ImageryError(msg)
    if area[0] >= area[2] or area[1] >= area[3]:
        return iter(())
    return _inside(source, zoom, area, max_tiles)


def _inside(source: ImagerySource, zoom: int, area: Bounds, max_tiles: int) -> Iterator[Tile]:
    count = count_tiles_covering(area, zoom)
    if count > max_tiles:
        raise _too_many(count, zoom, max_tiles)
    if source.info.kind == "geotiff":
        return _within(_probed(source, zoom, area), area)
    return tiles_covering(area, zoom)


def _area(own: Bounds | None, wanted: Bounds | None) -> Bounds | None:
    """The part of the source's bounds that is wanted, drawn in by a hair."""
    if wanted is not None and not (wanted[0] < wanted[2] and wanted[1] < wanted[3]):
        msg = (
            f"{wanted} are not bounds: give west, south, east, north in degrees, west before east, south before north."
        )
        raise ImageryError(msg)
    boxes = [box for box in (own, wanted) if box is not None]
    if not boxes:
        return None
    west, south, east, north = zip(*boxes, strict=True)
    return max(west) + EDGE, max(south) + EDGE, min(east) - EDGE, min(north) - EDGE


def _probed(source: ImagerySource, zoom: int, area: Bounds) -> Iterator[Tile]:
    levels = min(BLOCK_ZOOMS, zoom)
    n = 2**levels
    for block in tiles_covering(area, zoom - levels):
        alpha = source.read(block, n * PROBE)[..., 3]
        seen = (alpha >= ENOUGH_ALPHA).reshape(n, PROBE, n, PROBE).any(axis=(1, 3))
        for row, column in np.argwhere(seen):
            yield Tile(zoom, block.x * n + int(column), block.y * n + int(row))


def _within(tiles: Iterator[Tile], area: Bounds) -> Iterator[Tile]:
    west, south, east, north = area
    for tile in tiles:
        left, bottom, right, top = tile.bounds
        if left < east and right > west and bottom < north and top > south:
            yield tile


def _capped(tiles: Iterator[Tile], zoom: int, max_tiles: int) -> Iterator[Tile]:
    for count, tile in enumerate(tiles, start=1):
        if count > max_tiles:
            raise _too_many(None, zoom, max_tiles)
        yield tile


def _too_many(count: int | None, zoom: int, max_tiles: int) -> ImageryError:
    amount = f"{count:,}" if count else f"more than {max_tiles:,}"
    return ImageryError(
        f"The imagery has {amount} tiles at zoom {zoom}, at most {max_tiles:,} are allowed: "
        "choose a lower zoom or smaller bounds."
    )
