"""Layers drawn in metres: each tile a plain of its own, a kilometre apart, near the equator.

Polygons are true to area (EPSG:6933), so that an IoU is what was drawn; lines and points true to length (UTM).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.evaluate.layers import Layer, whole_layer
from maploop.evaluate.matching import Rules
from maploop.evaluate.metrics import Evaluation, evaluate
from maploop.vectors.geometry import Geometries, GeometryType, as_geometries

_TO_DEGREES = {crs: pyproj.Transformer.from_crs(crs, 4326, always_xy=True) for crs in (6933, 32636)}
_CORNER = {6933: (3_000_000.0, 40_000.0), 32636: (300_000.0, 40_000.0)}
CLASSES: Mapping[str, GeometryType] = {"building": "polygon", "road": "line", "path": "line", "well": "point"}
Drawn = tuple[BaseGeometry, str, int] | tuple[BaseGeometry, str, int, float]  # geometry, class, tile, score


def on_ground(geometries: Sequence[BaseGeometry], tile: Sequence[int] | NDArray[np.int64]) -> Geometries:
    """Geometries in metres of their tile -> EPSG:4326."""

    def degrees(geometry: BaseGeometry, shift: float) -> BaseGeometry:
        crs = 6933 if shapely.get_dimensions(geometry) == 2 else 32636
        west, south = _CORNER[crs]

        def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.column_stack(_TO_DEGREES[crs].transform(points[:, 0] + west + shift, points[:, 1] + south))

        return shapely.transform(geometry, place)

    return as_geometries([degrees(each, 1000.0 * on) for each, on in zip(geometries, tile, strict=True)])


def layer(drawn: Iterable[Drawn], classes: Mapping[str, GeometryType] = CLASSES) -> Layer:
    """A side of an evaluation."""
    rows = list(drawn)
    names = list(classes)
    tile = np.array([row[2] for row in rows], dtype=np.int64)
    return whole_layer(
        on_ground([row[0] for row in rows], tile),
        np.array([names.index(row[1]) for row in rows], dtype=np.int64),
        tile,
        np.array([row[3] if len(row) == 4 else np.nan for row in rows], dtype=np.float64),
    )


def judged(truth: Iterable[Drawn], predictions: Iterable[Drawn], **how: Any) -> Evaluation:
    """An evaluation of what was drawn, by the usual rules unless told otherwise."""
    classes = how.pop("classes", CLASSES)
    tiles = how.pop("tiles", 4)
    rules = how.pop("rules", Rules())
    return evaluate(layer(truth, classes), layer(predictions, classes), classes, tiles, rules, **how)


def box(x: float, y: float, width: float = 10, height: float = 10) -> BaseGeometry:
    """A box by its lower left corner."""
    return shapely.box(x, y, x + width, y + height)


def line(*points: tuple[float, float]) -> BaseGeometry:
    """A line through points."""
    return shapely.LineString(points)


def value(evaluation: Evaluation, class_name: str, figure: str) -> float | None:
    """One figure of one class."""
    return evaluation.classes[class_name].figures[figure].value


def counts(evaluation: Evaluation, class_name: str) -> tuple[int, int, int]:
    """True positives, false positives, false negatives of one class."""
    scores = evaluation.classes[class_name]
    return scores.tp, scores.fp, scores.fn
