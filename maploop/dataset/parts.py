"""Whole-tile examples: annotations cut at the tiles they lie on, as columns, ready for formats that speak in pixels."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from maploop.dataset.snapshot import Indices, Snapshot
from maploop.imagery.tilemath import fractional_tile
from maploop.vectors.geometry import Geometries, as_geometries, clip_to_tile


@dataclass(frozen=True)
class TileParts:
    """Parts of annotations, ordered by tile, then annotation; one that has or is cut into several has a row for each.

    placement       index into the snapshot's placements: equal for the parts of one annotation on one tile
    tile, feature   indices into the snapshot's columns
    geometries      in tile sides: 0, 0 is the tile's top-left corner, 1, 1 its bottom-right one, x right, y down
    """

    placement: Indices
    tile: Indices
    feature: Indices
    geometries: Geometries

    def __len__(self) -> int:
        return len(self.tile)

    def runs(self) -> list[tuple[int, int]]:
        """First row and end of the rows of each annotation on each tile."""
        starts = np.flatnonzero(np.diff(self.placement, prepend=-1)).tolist()
        return list(zip(starts, [*starts[1:], len(self)], strict=True)) if starts else []


def tile_parts(snapshot: Snapshot, tiles: Indices) -> TileParts:
    """The parts of all annotations on some tiles, given as indices."""
    placed = snapshot.placements
    wanted = np.zeros(len(snapshot.tiles.x), dtype=np.bool_)
    wanted[tiles] = True
    rows = np.flatnonzero(wanted[placed.tile] & snapshot.annotated[placed.feature])
    tile, feature = placed.tile[rows], placed.feature[rows]
    geometries = snapshot.features.geometries[feature]
    drawn = _in_tile_sides(geometries, tile, snapshot)
    bounds = shapely.bounds(drawn).reshape(-1, 4)
    inside = ((bounds >= 0) & (bounds <= 1)).all(axis=1) & (shapely.get_num_geometries(geometries) == 1)
    counts = np.ones(len(rows), dtype=np.int64)
    clipped: list[BaseGeometry] = []
    for row in np.flatnonzero(~inside).tolist():  # few: most features lie on one tile
        parts = clip_to_tile(geometries[row], snapshot.tile(tile[row]))
        counts[row] = len(parts)
        clipped.extend(parts)
    crossing = np.repeat(~inside, counts)
    rows, tile, feature = (np.repeat(each, counts) for each in (rows, tile, feature))
    result = np.repeat(drawn, counts)
    result[crossing] = _in_tile_sides(as_geometries(clipped), tile[crossing], snapshot)
    return TileParts(rows, tile, feature, result)


def _in_tile_sides(geometries: Geometries, tile: Indices, snapshot: Snapshot) -> Geometries:
    """EPSG:4326 geometries in sides of the tile given for each."""
    if not len(geometries):
        return geometries
    owner = shapely.get_coordinates(geometries, return_index=True)[1]
    left, top = snapshot.tiles.x[tile][owner], snapshot.tiles.y[tile][owner]

    def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
        columns, rows = fractional_tile(points[:, 0], points[:, 1], snapshot.zoom)
        return np.column_stack([columns - left, rows - top])

    return as_geometries(shapely.transform(geometries, place))


def bridge_holes(polygon: BaseGeometry) -> NDArray[np.float64]:
    """A polygon as one closed ring, (n, 2): each hole joined to the outline by a cut there and back, nearest first.

    Formats whose polygons know no holes (COCO, YOLO) fill such a ring rightly, and repairing it gives the hole back.
    """
    outline, *holes = shapely.get_rings(shapely.orient_polygons(polygon))  # holes turn the other way
    merged = shapely.get_coordinates(outline)
    while holes:
        ring = shapely.LineString(merged)
        nearest = int(np.argmin(shapely.distance(ring, holes)))
        hole = holes.pop(nearest)
        # The shortest way from ring to hole crosses no other hole: that one would be nearer.
        start, end = shapely.get_coordinates(shapely.shortest_line(ring, hole))
        before, after = _cut_at(merged, start)
        hole_before, hole_after = _cut_at(shapely.get_coordinates(hole), end)
        loop = np.concatenate([end[None], hole_after, hole_before[1:], end[None]])
        merged = np.concatenate([before, start[None], loop, start[None], after])
    moved = (merged[1:] != merged[:-1]).any(axis=1)
    return np.asarray(merged[np.concatenate([[True], moved])])


def _cut_at(ring: NDArray[np.float64], point: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A closed ring's points before and after the edge on which a point lies."""
    edges = shapely.linestrings(np.stack([ring[:-1], ring[1:]], axis=1))
    edge = int(np.argmin(shapely.distance(edges, shapely.Point(point))))
    return ring[: edge + 1], ring[edge + 1 :]
