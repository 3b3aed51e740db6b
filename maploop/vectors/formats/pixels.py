"""Geometries drawn on images of tiles -> the ground."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from maploop.imagery.tilemath import Tile, tile_of_file
from maploop.vectors.geometry import Geometries
from maploop.vectors.geometry.tiling import degrees_of

_ROBOFLOW = re.compile(r"_(?:png|jpe?g|webp|tiff?)\.rf\.[0-9A-Za-z]+(?:\.\w+)?$")  # 1-2-3_png.rf.0a1b.jpg
_PATH = re.compile(r"(?:^|[/\\])\d{1,2}[/\\]\d{1,8}[/\\]\d{1,8}(?:@\dx)?(?:\.\w+)?$")
_LEAST_ZOOM = 14  # of an image whose name ends in x-y-z: what lower zooms show nobody outlines houses on


class Pictures(NamedTuple):
    """What is told about the images of a file that does not tell it: the COCO document that lists them, their side."""

    document: Mapping[str, Any] | None = None
    size: int | None = None


def tile_named(name: object) -> Tile | None:
    """The tile that an image is named after; None when it is not.

    A date (drone_2024-05-12) or the place of a crop (crop_1024-2048-12) is no tile: numbers at the end of a name are
    one when they have a zoom that outlines are drawn at, and do not lie in the far north-west where small numbers do.
    """
    if not isinstance(name, str):
        return None
    name = _ROBOFLOW.sub(".png", name)
    try:
        tile = tile_of_file(name)
    except ValueError:  # not the name of any file
        return None
    if tile is None or _PATH.search(name):
        return tile
    edge = 2 ** max(tile.z - 3, 0)
    return None if tile.z < _LEAST_ZOOM or (tile.x < edge and tile.y < edge) else tile


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
