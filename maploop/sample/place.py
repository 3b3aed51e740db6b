"""Where the sample town lies and what it is called: Null Island, on land of our own.

The town's south-west corner is 0°, 0°, the corner of four tiles at every zoom, so a town of `512 * n` pixels covers
`n * n` tiles of the working zoom and touches no others. Plan coordinates are metres, x right, y down from the top-left
corner of the picture.
"""

from typing import Final

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

from maploop.imagery.tilemath import EARTH_CIRCUMFERENCE, from_pixels, tile_at
from maploop.project import GeometryType

SAMPLE_ZOOM: Final = 19
SAMPLE_TILE_SIZE: Final = 512
SAMPLE_SIZE: Final = 3072
SAMPLE_CRS: Final = "EPSG:32631"
CLASSES: Final[dict[str, GeometryType]] = {"building": "polygon", "road": "line", "path": "line", "water_tank": "point"}
ATTRIBUTION: Final = "Maploop sample town, generated, CC0"
LICENCE: Final = "CC0-1.0"

PIXEL: Final = EARTH_CIRCUMFERENCE / 2**SAMPLE_ZOOM / SAMPLE_TILE_SIZE  # metres, what the plan is drawn with


def raster_transform(size: int) -> Affine:
    """Pixels of a town `size` pixels wide -> EPSG:32631 metres.

    The pixel is 0.149 m wide and 0.148 m high: web mercator takes the earth for a sphere, the projection does not. The
    edges stay millimetres inside their tiles, as straight edges in one projection are slightly bent in the other.
    """
    far = shapely.Point(size, SAMPLE_TILE_SIZE - size)
    corner = from_pixels(far, tile_at(1e-9, 1e-9, SAMPLE_ZOOM), SAMPLE_TILE_SIZE)
    east, _, _, north = corner.bounds
    forward = Transformer.from_crs("EPSG:4326", SAMPLE_CRS, always_xy=True)
    left, bottom = forward.transform(0.0, 0.0)
    right, _ = forward.transform(east, 0.0)
    _, top = forward.transform(0.0, north)
    inset = 0.003 + 1.2e-8 * (right - left) ** 2
    width, height = (right - left - 2 * inset) / size, (top - bottom - 2 * inset) / size
    return Affine(width, 0.0, left + inset, 0.0, -height, top - inset)


def pixels_to_degrees(geometry: BaseGeometry, size: int) -> BaseGeometry:
    """Pixels of a town `size` pixels wide (x right, y down) -> EPSG:4326."""
    affine = raster_transform(size)
    inverse = Transformer.from_crs(SAMPLE_CRS, "EPSG:4326", always_xy=True)

    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = affine.c + affine.a * points[:, 0], affine.f + affine.e * points[:, 1]
        return np.column_stack(inverse.transform(x, y))

    return shapely.transform(geometry, project)
