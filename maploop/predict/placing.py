"""Which tiles of the working zoom features touch: found out, with a bound on how many, and kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, delete, select

from db.bulk import in_lists, insert_rows
from db.models import TileFeature
from maploop.errors import InputError
from maploop.imagery.tilemath import Tile, tile_indices
from maploop.vectors.geometry import Geometries, split_by_tiles

MAX_TILES_A_FEATURE = 10_000  # by its bounds
MAX_PLACES = 5_000_000
_BATCH_TILES = 1_000_000


@dataclass(frozen=True)
class Placement:
    """Features and the tiles they touch, as parallel columns ordered by feature.

    feature, tile   indices into the geometries given and into `tiles`; a feature is in at least one tile
    tiles           each tile once
    """

    feature: NDArray[np.int64]
    tile: NDArray[np.int64]
    tiles: list[Tile]


def span(geometries: Geometries, zoom: int) -> NDArray[np.int64]:
    """How many tiles of `zoom` the bounds of each EPSG:4326 geometry reach into."""
    west, south, east, north = shapely.bounds(geometries).reshape(-1, 4).T
    x0, y0 = tile_indices(west, north, zoom)
    x1, y1 = tile_indices(east, south, zoom)
    return (x1 - x0 + 1) * (y1 - y0 + 1)


def place(geometries: Geometries, zoom: int) -> Placement:
    """The tiles that features touch; none of them may span more than `MAX_TILES_A_FEATURE`. Raises InputError."""
    features: list[NDArray[np.int64]] = []
    keys: list[NDArray[np.int64]] = []
    total = 0
    for start, stop in _batches(span(geometries, zoom)):
        split = split_by_tiles(geometries[start:stop], zoom)
        features.append(split.feature + start)
        keys.append(split.x << zoom | split.y)
        total += len(split.x)
        if total > MAX_PLACES:
            msg = f"The features touch more than {MAX_PLACES:,} tiles of zoom {zoom} together: split the file."
            raise InputError(msg)
    if not keys:
        return Placement(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), [])
    unique, tile = np.unique(np.concatenate(keys), return_inverse=True)
    tiles = [
        Tile(zoom, x, y) for x, y in zip((unique >> zoom).tolist(), (unique & (1 << zoom) - 1).tolist(), strict=True)
    ]
    return Placement(np.concatenate(features), tile, tiles)


def _batches(spans: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of features whose bounds together reach into about `_BATCH_TILES` tiles: what fits in memory."""
    if len(spans) == 0:
        return
    batch = np.cumsum(spans) // _BATCH_TILES
    starts = [0, *(np.flatnonzero(np.diff(batch)) + 1).tolist(), len(spans)]
    yield from pairwise(starts)


def keep_places(connection: Connection, tile_ids: NDArray[np.int64], feature_ids: NDArray[np.int64]) -> None:
    """Say of features, which no tile has yet, which tiles they touch: parallel columns of ids."""
    order = np.lexsort((feature_ids, tile_ids))  # as the table is sorted: appending is fastest
    insert_rows(connection, TileFeature, {"tile_id": tile_ids[order], "feature_id": feature_ids[order]})


def places_of(connection: Connection, feature_ids: Sequence[int]) -> set[int]:
    """Ids of the tiles that features touch."""
    found: set[int] = set()
    touched = select(TileFeature.tile_id).where(TileFeature.feature_id.in_(bindparam("features", expanding=True)))
    for ids in in_lists(feature_ids):
        found.update(connection.execute(touched, {"features": ids}).scalars())
    return found


def drop_places(connection: Connection, feature_ids: Sequence[int]) -> set[int]:
    """Take features off their tiles -> the ids of those tiles."""
    left: set[int] = set()
    gone = delete(TileFeature).where(TileFeature.feature_id.in_(bindparam("features", expanding=True)))
    for ids in in_lists(feature_ids):
        left.update(connection.execute(gone.returning(TileFeature.tile_id), {"features": ids}).scalars())
    return left
