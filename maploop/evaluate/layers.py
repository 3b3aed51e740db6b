"""The two sides of an evaluation as columns: truth and predictions, whole or cut at the tiles they lie on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.imagery.tilemath import Tile
from maploop.vectors.geometry import Geometries, area_m2, as_geometries, clip_to_tile, length_m

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Layer:
    """Features of one side, one entry a feature in every column.

    geometries      valid, EPSG:4326; a feature of several parts, or that a tile's border cuts in two, is one
                    multi-geometry
    class_index     into the classes of the evaluation
    tile            into its tiles
    scores          0 to 1; nan where there is none, as for truth
    sizes           of the whole feature, uncut, to one decimal: m2 of a polygon, metres of a line; 0 for a point
    """

    geometries: Geometries
    class_index: Indices
    tile: Indices
    scores: NDArray[np.float64]
    sizes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.class_index)

    def only(self, chosen: NDArray[np.bool_] | Indices) -> "Layer":
        """Some of the features."""
        return Layer(
            self.geometries[chosen],
            self.class_index[chosen],
            self.tile[chosen],
            self.scores[chosen],
            self.sizes[chosen],
        )

    def moved(self, tile: Indices) -> "Layer":
        """The same features, on other tiles or tiles that are numbered anew."""
        return replace(self, tile=np.asarray(tile, dtype=np.int64))


def sizes_of(geometries: Geometries) -> NDArray[np.float64]:
    """Square metres of polygons, metres of lines, 0 for points; to one decimal, so that equals are equal."""
    dimensions = shapely.get_dimensions(geometries)
    sizes = np.zeros(len(geometries))
    sizes[dimensions == 2] = area_m2(geometries[dimensions == 2])
    sizes[dimensions == 1] = length_m(geometries[dimensions == 1])
    return np.round(sizes, 1)


def whole_layer(
    geometries: Geometries, class_index: Indices, tile: Indices, scores: NDArray[np.float64] | None = None
) -> Layer:
    """Features as they are; see `Layer` for the columns."""
    scores = np.full(len(geometries), np.nan) if scores is None else scores
    return Layer(geometries, class_index, tile, scores, sizes_of(geometries))


def cut_layer(
    geometries: Geometries,
    class_index: Indices,
    scores: NDArray[np.float64] | None,
    feature: Indices,
    tile: Indices,
    tiles: Sequence[Tile],
) -> Layer:
    """Features on tiles, each cut at its tile.

    `feature` and `tile` are parallel columns of indices: which feature is on which tile. A part too small to be drawn
    on a tile is left out there by the rule that exports follow (`clip_to_tile`).
    """
    whole = whole_layer(geometries, class_index, np.zeros(len(geometries), dtype=np.int64), scores)
    bounds = np.array([each.bounds for each in tiles]).reshape(-1, 4)[tile]
    own = shapely.bounds(geometries).reshape(-1, 4)[feature]
    inside = (own[:, :2] >= bounds[:, :2]).all(axis=1) & (own[:, 2:] <= bounds[:, 2:]).all(axis=1)
    parts = as_geometries(geometries[feature])
    for row in np.flatnonzero(~inside).tolist():  # few: most features lie on one tile
        parts[row] = _joined(clip_to_tile(parts[row], tiles[tile[row]]))
    kept = np.flatnonzero(~shapely.is_missing(parts))
    rows = feature[kept]
    return Layer(parts[kept], whole.class_index[rows], tile[kept], whole.scores[rows], whole.sizes[rows])


def _joined(parts: list[BaseGeometry]) -> BaseGeometry | None:
    """Parts of one polygon, line or point as one geometry; None without any."""
    if len(parts) < 2:
        return parts[0] if parts else None
    make = shapely.multipolygons if parts[0].geom_type == "Polygon" else shapely.multilinestrings
    return cast("BaseGeometry", make(parts))
