"""From annotations to what each cell is taught: a class, background, or nothing where it cannot be known.

A line or point says where something is, not how wide it is. The width of a line class is read off the pixels: it ends
where colours stop resembling those on the line. Cells around the edge are left out of training.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from maploop.predict.pixels import CELL

BACKGROUND: Final = 0
UNKNOWN: Final = 255
POINT_RADIUS: Final = 3.0  # cells around a point that are surely the thing itself
_WIDEST: Final = 20  # cells from the middle of a line within which its edge is looked for
_NARROWEST: Final = 2.0


@dataclass(frozen=True, slots=True)
class LabelledGeometry:
    """One annotated feature of an image: its class, and its geometry in pixels of that image (x right, y down)."""

    class_name: str
    geometry: BaseGeometry


Example = tuple[NDArray[np.uint8], Sequence[LabelledGeometry]]


def measure_half_widths(examples: Iterable[Example], classes: Mapping[str, str]) -> dict[str, float]:
    """Half the width of each line class in cells, from how colours change away from the annotated lines."""
    lines = [name for name, kind in classes.items() if kind == "line"]
    total = {name: np.zeros(_WIDEST) for name in lines}
    count = {name: np.zeros(_WIDEST) for name in lines}
    for image, features in examples:
        cells = ndimage.uniform_filter(image.astype(np.float32), (CELL + 1, CELL + 1, 0))[::CELL, ::CELL]
        for name in lines:
            away, change = _change_away_from(cells, [f.geometry for f in features if f.class_name == name])
            total[name] += np.bincount(away, weights=change, minlength=_WIDEST)
            count[name] += np.bincount(away, minlength=_WIDEST)
    widths = {}
    for name in lines:
        profile = total[name] / np.maximum(count[name], 1)
        beyond = np.flatnonzero(profile > (profile[0] + profile.max()) / 2)
        widths[name] = max(_NARROWEST, float(beyond[0]) if len(beyond) else _NARROWEST)
    return widths


def _change_away_from(
    cells: NDArray[np.float32], geometries: list[BaseGeometry]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of every cell near the lines: whole cells away, and how far its colour is from the nearest line cell's."""
    canvas = Image.new("L", (cells.shape[1], cells.shape[0]))
    draw = ImageDraw.Draw(canvas)
    for geometry in geometries:
        for part in shapely.get_parts(geometry):
            draw.line((shapely.get_coordinates(part) / CELL - 0.5).ravel().tolist(), fill=255)
    on = np.asarray(canvas) > 0
    if not on.any():
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    distance, (row, column) = ndimage.distance_transform_edt(~on, return_indices=True)
    near = distance < _WIDEST
    change = np.linalg.norm(cells[near] - cells[row[near], column[near]], axis=1)
    return distance[near].astype(np.int64), change.astype(np.float64)


def cell_labels(
    shape: tuple[int, int],
    features: Sequence[LabelledGeometry],
    classes: Mapping[str, str],
    half_width: Mapping[str, float],
) -> NDArray[np.uint8]:
    """Labels of the cells of an image, (rows, columns): 0 background, 1.. the classes in order, 255 unknown.

    Polygons win over lines, points over both, as small things lie on top of large ones.
    """
    kinds = {"line": 0, "polygon": 1, "point": 2}
    ordered = sorted((f for f in features if f.class_name in classes), key=lambda f: kinds[classes[f.class_name]])
    numbers = {name: number for number, name in enumerate(classes, start=1)}
    labels = Image.new("L", (shape[1], shape[0]), BACKGROUND)
    draw = ImageDraw.Draw(labels)
    reach = {name: (0.7 * half_width[name], 1.5 * half_width[name] + 2) for name in half_width}
    for feature in ordered:
        kind = classes[feature.class_name]
        _, halo = reach.get(feature.class_name, (0.0, 2 * POINT_RADIUS if kind == "point" else 0.0))
        if kind != "polygon":
            _fill(draw, feature.geometry.buffer(halo * CELL), UNKNOWN)
    for feature in ordered:
        core, _ = reach.get(feature.class_name, (POINT_RADIUS, 0.0))
        grown = feature.geometry if classes[feature.class_name] == "polygon" else feature.geometry.buffer(core * CELL)
        _fill(draw, grown, numbers[feature.class_name])
    return np.asarray(labels)


def _fill(draw: ImageDraw.ImageDraw, area: BaseGeometry, value: int) -> None:
    for part in shapely.get_parts(area):
        if part.geom_type == "Polygon" and not part.is_empty:
            draw.polygon((shapely.get_coordinates(part.exterior) / CELL - 0.5).ravel().tolist(), fill=value)
