"""Geometries drawn on images of tiles -> the ground."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from maploop.imagery.tilemath import Tile, tile_of_file
from maploop.vectors.geometry import Geometries
from maploop.vectors.geometry.tiling import degrees_of


def tile_named(name: object) -> Tile | None:
    """The tile that an image is named after; None when it is not."""
    try:
        return tile_of_file(name) if isinstance(name, str) else None
    except ValueError:  # not the name of any file
        return None


def to_ground(
    geometries: Geometries, tiles: Sequence[Tile | None], widths: Sequence[float], heights: Sequence[float]
) -> Geometries:
    """Geometries in the pixels of their tile's image, x right, y down -> EPSG:4326; None where the tile is None.

    `widths` and `heights` are those of each geometry's image in the same unit, so 100 and 100 serve for percent.
    """
    known = np.array([tile is not None for tile in tiles], dtype=np.bool_)
    ground = np.full(len(geometries), None, dtype=object)
    addresses = np.array([(tile.x, tile.y, tile.z) for tile in tiles if tile is not None], dtype=np.float64)
    drawn = geometries[known]
    if not len(drawn):
        return ground
    _, owner = shapely.get_coordinates(drawn, return_index=True)
    x, y, zoom = addresses[owner].T
    width, height = (np.asarray(values, dtype=np.float64)[known][owner] for values in (widths, heights))

    def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(degrees_of(points[:, 0] / width + x, points[:, 1] / height + y, zoom))

    ground[known] = shapely.transform(drawn, place)
    return ground
