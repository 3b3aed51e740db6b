"""The tiles that known truth covers wholly: of a stated area, of the pictures it lists, or as far as it reaches itself.

Truth that ends at a street has houses on the tiles across it, but not all of them. So without a stated ground, a tile
counts as covered only when the file goes on beyond it on all sides, or when the project's ground ends there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection

from maploop.errors import InputError
from maploop.imagery.area import area_of, reach_into, tiles_of_area, wholly_within
from maploop.imagery.tilemath import Tile
from maploop.imagery.tiles import on_imagery
from maploop.predict.extent import (
    LARGEST_HOLE,
    MAX_TILES,
    Places,
    largest_gap,
    small_holes,
    tiles_at_zoom,
    tiles_within,
)
from maploop.predict.placing import Placement
from maploop.project import ProjectView
from maploop.vectors.geometry import Geometries

MOST_UNTOUCHED: Final = 1 / 4  # of an area's tiles, where a file is taken to cover the area
SIDES: Final = ((-1, 0), (1, 0), (0, -1), (0, 1))  # west, east, north, south
AROUND: Final = tuple((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if (x, y) != (0, 0))
Basis = Literal["area", "images", "project_area", "extent"]


@dataclass(frozen=True)
class CoveredGround:
    """Tiles that a file of truth covers wholly, and what says so.

    basis   a stated area, the pictures that the file lists, the project's area, or how far the file's features reach
    at_rim  tiles with features of the file that it may cover in part only: they are not among `tiles`
    """

    tiles: list[Tile]
    basis: Basis
    at_rim: list[Tile]


def covered_ground(
    connection: Connection,
    project: ProjectView,
    geometries: Geometries,
    placement: Placement,
    *,
    area: BaseGeometry | None = None,
    looked_at: Sequence[Tile] = (),
    fill_extent: bool = False,
) -> CoveredGround:
    """Find the tiles of the working zoom that truth covers wholly.

    area            stated: the project's tiles wholly within it are covered, with features or without
    looked_at       tiles of any zoom whose pictures the file lists: without an area those are covered, and no others
    fill_extent     everything within the bounds of the file's tiles was looked at

    Without either, the project's area is taken for stated when the file fills it: from end to end, with features on
    nearly all of its tiles. Raises InputError when that is more than `MAX_TILES` tiles.
    """
    touched = placement.tiles
    project_area = area_of(connection, project)
    if area is not None:
        tiles = tiles_within(connection, project, area, touched)
        return CoveredGround(tiles, "area", _without(touched, tiles))
    if looked_at:
        tiles = tiles_at_zoom(looked_at, project.zoom)
        return CoveredGround(tiles, "images", _without(touched, tiles))
    if not touched:
        return CoveredGround([], "extent", [])
    if project_area is not None and _fills(touched, project_area, project.zoom):
        tiles = tiles_within(connection, project, project_area, touched)
        return CoveredGround(tiles, "project_area", _without(touched, tiles))
    tiles = _inside(connection, project, geometries, placement, project_area, fill_extent=fill_extent)
    return CoveredGround(tiles, "extent", _without(touched, tiles))


def _without(tiles: Sequence[Tile], others: Iterable[Tile]) -> list[Tile]:
    gone = set(others)
    return [tile for tile in tiles if tile not in gone]


def _fills(touched: Sequence[Tile], area: BaseGeometry, zoom: int) -> bool:
    """Whether tiles reach from end to end of an area, in both directions, and leave only few and small gaps in it.

    Two houses in opposite corners reach from end to end, too, and say nothing of the tiles between them.
    """
    candidates = tiles_of_area(area, zoom)
    inner = [tile for tile, within in zip(candidates, wholly_within(area, candidates), strict=True) if within]
    if not inner:
        return False
    own, wanted = _places(touched), _places(inner)
    if (own.min(axis=0) > wanted.min(axis=0)).any() or (own.max(axis=0) < wanted.max(axis=0)).any():
        return False
    untouched = _without(inner, touched)
    return len(untouched) <= MOST_UNTOUCHED * len(inner) and largest_gap(_places(untouched)) <= LARGEST_HOLE


def _inside(
    connection: Connection,
    project: ProjectView,
    geometries: Geometries,
    placement: Placement,
    project_area: BaseGeometry | None,
    *,
    fill_extent: bool,
) -> list[Tile]:
    """Tiles beyond which the file goes on, or the project's ground ends, on all sides.

    Small gaps that the file's tiles enclose count as looked at; they are among the answer only with `fill_extent`.
    """
    touched = _places(placement.tiles)
    gaps = small_holes(touched)
    if fill_extent:
        gaps = _rest_of_bounds(touched)
    seen = {*map(tuple, touched.tolist()), *map(tuple, gaps.tolist())}
    candidates = [Tile(project.zoom, x, y) for x, y in (seen if fill_extent else map(tuple, touched.tolist()))]
    last = 2**project.zoom - 1
    beyond = {
        (x, y)
        for tile in candidates
        for dx, dy in AROUND
        if (x := tile.x + dx, y := tile.y + dy) not in seen and 0 <= x <= last and 0 <= y <= last
    }
    ground = [*candidates, *(Tile(project.zoom, x, y) for x, y in sorted(beyond))]
    is_ground = on_imagery(connection, project, ground)
    if project_area is not None:
        is_ground &= reach_into(project_area, ground)
    known = {(tile.x, tile.y) for tile, yes in zip(ground, is_ground.tolist(), strict=True) if yes}
    inside = [
        tile
        for tile in candidates
        if (tile.x, tile.y) in known
        and not any((place := (tile.x + dx, tile.y + dy)) in known and place not in seen for dx, dy in AROUND)
    ]
    if project_area is not None and inside:
        whole = wholly_within(project_area, inside)
        inside = [tile for tile, yes in zip(inside, whole.tolist(), strict=True) if yes]
    if fill_extent:
        return inside
    return _reaching_the_end(inside, known, geometries, placement)


def _reaching_the_end(
    inside: Sequence[Tile], known: set[tuple[int, int]], geometries: Geometries, placement: Placement
) -> list[Tile]:
    """Select the tiles whose features come near where the project's ground ends: into the outer half of the tile."""
    row = {tile: index for index, tile in enumerate(placement.tiles)}
    fits = np.ones(len(inside), dtype=np.bool_)
    of_tile: NDArray[np.int64] = np.full(len(placement.tiles), -1, dtype=np.int64)
    for dx, dy in SIDES:
        ends = [index for index, tile in enumerate(inside) if (tile.x + dx, tile.y + dy) not in known]
        if not ends:
            continue
        of_tile[:] = -1
        of_tile[[row[inside[index]] for index in ends]] = np.arange(len(ends))
        halves = np.array([_outer_half(inside[index], dx, dy) for index in ends], dtype=object)
        which = np.flatnonzero(of_tile[placement.tile] != -1)
        place = of_tile[placement.tile[which]]
        meets = shapely.intersects(geometries[placement.feature[which]], halves[place])
        reached = np.zeros(len(ends), dtype=np.bool_)
        reached[place[meets]] = True
        fits[np.array(ends)[~reached]] = False
    return [tile for tile, fit in zip(inside, fits.tolist(), strict=True) if fit]


def _outer_half(tile: Tile, dx: int, dy: int) -> BaseGeometry:
    west, south, east, north = tile.bounds
    x, y = (west + east) / 2, (south + north) / 2
    return shapely.box(x if dx > 0 else west, y if dy < 0 else south, x if dx < 0 else east, y if dy > 0 else north)


def _rest_of_bounds(touched: Places) -> Places:
    """The other places in the bounding box of places. Raises InputError."""
    (west, north), (east, south) = touched.min(axis=0).tolist(), touched.max(axis=0).tolist()
    count = (east - west + 1) * (south - north + 1)
    if count > MAX_TILES:
        msg = f"The file's extent holds {count:,} tiles, at most {MAX_TILES:,} are allowed: give an area instead."
        raise InputError(msg)
    x, y = np.meshgrid(np.arange(west, east + 1), np.arange(north, south + 1))
    return np.column_stack([x.ravel(), y.ravel()]).astype(np.int64)


def _places(tiles: Sequence[Tile]) -> Places:
    return np.array([(tile.x, tile.y) for tile in tiles], dtype=np.int64).reshape(-1, 2)
