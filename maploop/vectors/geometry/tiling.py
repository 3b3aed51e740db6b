"""Which tiles features touch, and the part of a feature inside one tile."""

from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.imagery.tilemath import Tile, count_tiles_covering, fractional_tile
from maploop.vectors.geometry.kinds import Geometries, as_geometries, geometry_types, parts_of_type

MAX_TILES_PER_FEATURE = 100_000
SLIVER_PIXELS = 2.0
_TILE_PIXELS = 512
_BORDER = 1e-6  # of a tile: what rounding may add; less than a tenth of a millimetre at zoom 20


def clip_to_tile(geometry: BaseGeometry, tile: Tile) -> list[BaseGeometry]:
    """The parts of one valid polygon, line or point inside a tile, single ones of its type, polygons counter-clockwise.

    A feature of several parts is cut part by part.
    A part made by the cut is dropped as a sliver when it is below 2 x 2 pixels (a line: 2 pixels) of the tile drawn 512
    pixels wide, and small beside the feature: below half of an even share among the tiles it may touch. So every
    feature keeps a part in at least one tile.
    """
    if shapely.get_num_geometries(geometry) > 1:
        return [cut for part in shapely.get_parts(geometry).tolist() for cut in clip_to_tile(part, tile)]
    square = tile.polygon
    if square.covers(geometry):
        return [geometry]
    geometry_type = geometry_types(as_geometries([geometry]))[0]
    if geometry_type == "point":
        return []
    west, south, east, north = tile.bounds
    pixel_width, pixel_height = (east - west) / _TILE_PIXELS, (north - south) / _TILE_PIXELS
    half_share = 0.5 / count_tiles_covering(geometry.bounds, tile.z)
    if geometry_type == "line":  # an intersection would break a line wherever it crosses itself
        slack = (east - west) * _BORDER  # keeps what runs along the border
        cut = shapely.clip_by_rect(geometry, west - slack, south - slack, east + slack, north + slack)
        smallest = min(SLIVER_PIXELS * pixel_width, half_share * geometry.length)
        return [part for part in parts_of_type(cut, "line") if part.length >= smallest]
    parts = parts_of_type(geometry.intersection(square), "polygon")
    smallest = min(SLIVER_PIXELS**2 * pixel_width * pixel_height, half_share * geometry.area)
    return [shapely.orient_polygons(part) for part in parts if part.area >= smallest]


class TileSplit(NamedTuple):
    """Which tiles features touch: parallel columns, ordered by feature, then row by row.

    feature         index into the geometries given
    z, x, y         the tile
    oversized       indices of features whose bounds span more than 100,000 tiles: left out of the columns
    """

    feature: NDArray[np.int64]
    z: NDArray[np.int64]
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    oversized: NDArray[np.int64]


def split_by_tiles(geometries: Geometries, zoom: int) -> TileSplit:
    """The tiles of `zoom` that each geometry shares area (lines: length) with; a point is in one tile.

    `geometries` are valid and not empty. A polygon that touches a tile along its border only is not in it; a line that
    runs along a border is in at least one of the tiles beside it. Every feature that is not oversized is in a tile.
    """
    geometries = as_geometries(geometries)
    x0, y0, columns, rows = _ranges(geometries, zoom)
    counts = columns * rows
    oversized = np.flatnonzero(counts > MAX_TILES_PER_FEATURE)
    counts[oversized] = 0

    feature = np.repeat(np.arange(len(geometries)), counts)
    place = np.arange(len(feature)) - np.repeat(np.cumsum(counts) - counts, counts)
    x = x0[feature] + place % columns[feature]
    y = y0[feature] + place // columns[feature]
    kept = np.ones(len(feature), dtype=np.bool_)
    unsure = np.flatnonzero(counts[feature] > 1)
    shapely.prepare(geometries[counts > 4])  # pays off when one geometry is asked often
    kept[unsure] = shapely.intersects(geometries[feature[unsure]], _squares(x[unsure], y[unsure], zoom, _BORDER))
    lines = geometry_types(geometries) == "line"
    missed = np.flatnonzero(~kept & lines[feature])
    kept[missed] = _run_along(geometries[feature[missed]], _squares(x[missed], y[missed], zoom, -_BORDER), zoom)
    nowhere = np.setdiff1d(np.flatnonzero(counts), feature[kept])  # hair-thin, on a border
    kept[np.searchsorted(feature, nowhere)] = True
    return TileSplit(feature[kept], np.full(kept.sum(), zoom), x[kept], y[kept], oversized)


def _ranges(geometries: Geometries, zoom: int) -> tuple[NDArray[np.int64], ...]:
    """First column, first row, number of columns and of rows of tiles that the bounds reach into."""
    west, south, east, north = shapely.bounds(geometries).reshape(-1, 4).T
    firsts = fractional_tile(west, north, zoom)
    ends = fractional_tile(east, south, zoom)
    last = 2**zoom - 1
    x0, y0 = (np.clip(np.floor(first), 0, last).astype(np.int64) for first in firsts)
    x1, y1 = (np.clip(np.ceil(end) - 1, 0, last).astype(np.int64) for end in ends)
    return x0, y0, np.maximum(x1 - x0, 0) + 1, np.maximum(y1 - y0, 0) + 1


def _run_along(lines: Geometries, squares: Geometries, zoom: int) -> NDArray[np.bool_]:
    """Which lines run along the border of their square, and do not just end there or pass its corner."""
    along = shapely.intersects(lines, squares)
    along[along] = shapely.length(shapely.intersection(lines[along], squares[along])) > 10 * _BORDER * 360 / 2**zoom
    return along


def _squares(x: NDArray[np.int64], y: NDArray[np.int64], zoom: int, inset: float) -> Geometries:
    """Tiles as boxes in EPSG:4326, smaller on each side by a share of a tile."""
    west, north = degrees_of(x + inset, y + inset, zoom)
    east, south = degrees_of(x + 1 - inset, y + 1 - inset, zoom)
    return as_geometries(shapely.box(west, south, east, north))


def degrees_of(
    columns: NDArray[np.floating[Any]], rows: NDArray[np.floating[Any]], zoom: NDArray[np.float64] | float
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Inverse of `fractional_tile`: tile columns and rows with their fractions -> longitudes and latitudes."""
    n = np.exp2(zoom)
    return columns / n * 360.0 - 180.0, np.degrees(np.arctan(np.sinh(np.pi * (1.0 - 2.0 * rows / n))))
