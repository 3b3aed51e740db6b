"""From how probable each class is, cell by cell, to its features: outlines, centre lines, middles.

What is predicted comes as planes of uint8, 255 for certain, one cell for every `CELL` x `CELL` pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from maploop.predict.centrelines import centrelines, middles, typical_half_width
from maploop.predict.labels import POINT_RADIUS
from maploop.predict.outlines import outlines
from maploop.predict.pixels import CELL

_SMALLEST_POLYGON: Final = 60.0  # cells
_SHORTEST_LINE: Final = 8.0  # times half the width of its class
_SMOOTH: Final = 1.5  # cells over which neighbours vote


@dataclass(frozen=True, slots=True)
class PredictedFeature:
    """One feature found: class, geometry in pixels (x right, y down), mean probability of the class over its pixels."""

    class_name: str
    geometry: BaseGeometry
    score: float


def draw(
    probability: NDArray[np.uint8],
    classes: Mapping[str, str],
    width: int,
    height: int,
    *,
    half_width: Mapping[str, float] | None = None,
) -> list[PredictedFeature]:
    """The features of planes (1 + classes, rows, columns), the background first, over `width` x `height` pixels.

    classes     name -> polygon, line or point, in the order of the planes
    half_width  of line classes, in cells; measured where it is not told
    """
    smooth = np.stack([ndimage.gaussian_filter(plane, _SMOOTH, output=np.uint8) for plane in probability])
    winner = smooth.argmax(axis=0)
    found: list[PredictedFeature] = []
    for number, (name, kind) in enumerate(classes.items(), start=1):
        share = probability[number].astype(np.float32) / 255
        half = (half_width or {}).get(name)
        for geometry, score in shapes_of(winner == number, share, kind, half):
            found += [PredictedFeature(name, part, round(score, 4)) for part in in_pixels(geometry, width, height)]
    return found


def shapes_of(
    mask: NDArray[np.bool_], share: NDArray[np.float32], kind: str, half_width: float | None = None
) -> Sequence[tuple[BaseGeometry, float]]:
    """Polygons, lines or points of a mask (rows, columns), in its cells, each with the mean of `share` over it."""
    if kind == "polygon":
        return outlines(mask, share, _SMALLEST_POLYGON)
    if kind == "line":
        half = typical_half_width(mask) if half_width is None else half_width
        return centrelines(mask, share, half, _SHORTEST_LINE * half)
    return middles(mask, share, POINT_RADIUS**2)


def in_pixels(geometry: BaseGeometry, width: int, height: int) -> list[BaseGeometry]:
    """A geometry in cells -> its parts in pixels, cut at the frame of the picture."""
    pixels = shapely.intersection(
        shapely.transform(geometry, lambda points: points * CELL), shapely.box(0, 0, width, height)
    )
    return [part for part in shapely.get_parts(pixels) if not part.is_empty and part.geom_type == geometry.geom_type]
