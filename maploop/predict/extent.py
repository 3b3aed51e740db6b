"""The ground that a file covers, in tiles: of its area, of the pictures it lists, or of where its features lie."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection

from maploop.errors import InputError
from maploop.imagery.area import tiles_of_area, wholly_within
from maploop.imagery.tilemath import Tile
from maploop.imagery.tiles import on_imagery, tile_ids_around
from maploop.project import ProjectView

LARGEST_HOLE = 4  # tiles: a field or a pond; more may be ground that nobody looked at
MAX_CELLS = 50_000_000
MAX_TILES = 250_000
Places = NDArray[np.int64]  # x and y of tiles of one zoom, shape (n, 2)


def small_holes(places: Places) -> Places:
    """Tiles without features that those with features enclose, in gaps of at most `LARGEST_HOLE`.

    Sideways neighbours join tiles of a gap to one another, diagonal ones too. Extents of more than `MAX_CELLS` tiles
    are not looked at.
    """
    if not len(places):
        return places
    corner = places.min(axis=0)
    width, height = (places.max(axis=0) - corner + 1).tolist()
    if width * height > MAX_CELLS:
        return places[:0]
    mask = np.zeros((width, height), dtype=np.bool_)
    mask[tuple((places - corner).T)] = True
    gaps, _ = ndimage.label(~mask, structure=np.ones((3, 3), dtype=np.int8))
    sizes = np.bincount(gaps.ravel())
    outside = np.unique(np.concatenate([gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]]))
    small = sizes <= LARGEST_HOLE
    small[outside] = False
    small[0] = False
    return np.asarray(np.argwhere(small[gaps]) + corner, dtype=np.int64)


def largest_gap(places: Places) -> int:
    """How many of these places join one another, sideways or diagonally, at most.

    Places over more than `MAX_CELLS` tiles are not looked at: all of them count as joined.
    """
    if not len(places):
        return 0
    corner = places.min(axis=0)
    width, height = (places.max(axis=0) - corner + 1).tolist()
    if width * height > MAX_CELLS:
        return len(places)
    mask = np.zeros((width, height), dtype=np.bool_)
    mask[tuple((places - corner).T)] = True
    joined, _ = ndimage.label(mask, structure=np.ones((3, 3), dtype=np.int8))
    return int(np.bincount(joined.ravel())[1:].max())


def tiles_within(
    connection: Connection, project: ProjectView, area: BaseGeometry, touched: Sequence[Tile]
) -> list[Tile]:
    """The tiles wholly within an area that the project has, that have imagery, or that are among those `touched`.

    Raises InputError when the area is too large.
    """
    candidates = tiles_of_area(area, project.zoom)
    tiles = [tile for tile, within in zip(candidates, wholly_within(area, candidates), strict=True) if within]
    if not tiles:
        return []
    places = np.array([(tile.x, tile.y) for tile in tiles], dtype=np.int64)
    known = {*touched, *(Tile(project.zoom, *place) for place, _ in tile_ids_around(connection, project, places))}
    imaged = on_imagery(connection, project, tiles)
    return [tile for tile, has in zip(tiles, imaged.tolist(), strict=True) if has or tile in known]


def tiles_at_zoom(looked_at: Sequence[Tile], zoom: int) -> list[Tile]:
    """Tiles of a zoom that tiles of any zoom cover wholly, in order, each once. Raises InputError."""
    tiles = list(dict.fromkeys(looked_at))
    count = sum(4 ** max(0, zoom - tile.z) for tile in tiles)
    if count > MAX_TILES:
        msg = f"The file's pictures cover {count:,} tiles of zoom {zoom}, at most {MAX_TILES:,} are allowed: split it."
        raise InputError(msg)
    covered: set[Tile] = set()
    for tile in tiles:
        if tile.z <= zoom:
            covered.update(tile.children(zoom) if tile.z < zoom else [tile])
    parts = Counter((tile.parent(zoom), tile.z) for tile in tiles if tile.z > zoom)
    covered.update(parent for (parent, z), number in parts.items() if number == 4 ** (z - zoom))
    return sorted(covered)
