"""Whether a file's features lie on the project's imagery; when none do, the file is refused, with a guess why."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from db.models import Imagery
from db.models import Tile as TileRow
from maploop.errors import InputError
from maploop.imagery.tilemath import MAX_LATITUDE, Tile, tile_indices
from maploop.imagery.tiles import on_imagery
from maploop.predict.placing import Placement
from maploop.project import ProjectView
from maploop.vectors.geometry import Geometries

MOST_LOOKED_AT = 2_000  # features that a guess is tried on
Points = NDArray[np.float64]  # longitude, latitude, shape (n, 2)


def check_on_imagery(
    connection: Connection, project: ProjectView, geometries: Geometries, placement: Placement, path: Path
) -> None:
    """Make sure that at least one feature lies on imagery, where the project has some. Raises InputError.

    The message says what may be wrong with the file's coordinates, where a guess puts most of them on imagery.
    """
    ground = _extent_of_imagery(connection, project) if placement.tiles else None
    if ground is None or on_imagery(connection, project, placement.tiles).any():
        return
    own, theirs = (_text(bounds) for bounds in (ground, shapely.total_bounds(geometries).tolist()))
    guess = _guess(connection, project, geometries, ground)
    msg = (
        f"{path.name} lies outside all imagery: none of its {len(geometries):,} features ({theirs}) is on the "
        f"project's ({own}).{guess} To import it all the same, say --outside-imagery."
    )
    raise InputError(msg)


def _extent_of_imagery(connection: Connection, project: ProjectView) -> list[float] | None:
    """West, south, east, north of the tiles with imagery, else of the imagery itself; None without either."""
    tiles, left, right, top, bottom = connection.execute(
        select(func.count(), func.min(TileRow.x), func.max(TileRow.x), func.min(TileRow.y), func.max(TileRow.y)).where(
            TileRow.project_id == project.id, TileRow.z == project.zoom, TileRow.imagery_id.is_not(None)
        )
    ).one()
    if tiles:
        west, south, _, _ = Tile(project.zoom, left, bottom).bounds
        _, _, east, north = Tile(project.zoom, right, top).bounds
        return [west, south, east, north]
    sources = connection.execute(
        select(Imagery.info).where(Imagery.project_id == project.id, Imagery.withdrawn_at.is_(None))
    ).scalars()
    boxes = [info.get("bounds") or (-180.0, -90.0, 180.0, 90.0) for info in sources]
    if not boxes:
        return None
    lowest, highest = np.min(boxes, axis=0).tolist(), np.max(boxes, axis=0).tolist()
    return [*lowest[:2], *highest[2:]]


def _text(bounds: list[float]) -> str:
    west, south, east, north = bounds
    return f"{west:.4f}, {south:.4f} to {east:.4f}, {north:.4f}"


def _guess(connection: Connection, project: ProjectView, geometries: Geometries, ground: list[float]) -> str:
    """One sentence on the first change of coordinates that puts most features on imagery; empty when none does."""
    points = shapely.get_coordinates(shapely.point_on_surface(geometries[:MOST_LOOKED_AT]))
    for move, says in _changes(points, ground):
        moved = move(points)
        on_earth = np.isfinite(moved).all(axis=1) & (np.abs(moved) <= (180, MAX_LATITUDE)).all(axis=1)
        if not on_earth.any():
            continue
        x, y = tile_indices(moved[on_earth, 0], moved[on_earth, 1], project.zoom)
        places, index = np.unique(np.column_stack([x, y]), axis=0, return_inverse=True)
        tiles = [Tile(project.zoom, *place) for place in places.tolist()]
        found = int(on_imagery(connection, project, tiles)[index.ravel()].sum())
        if 2 * found >= len(points):
            return f" {says.format(found=f'{found:,} of {len(points):,}')}"
    return ""


def _changes(points: Points, ground: list[float]) -> Iterator[tuple[Callable[[Points], Points], str]]:
    """Usual mistakes: how each is mended, and what to say of it."""
    yield (
        lambda each: each[:, ::-1],
        "With x and y swapped, {found} would be: it seems to give latitude before longitude, so swap them in the file.",
    )
    wanted = _utm((ground[0] + ground[2]) / 2, south=ground[1] + ground[3] < 0)
    for south in (False, True):
        told = _utm(float(np.median(points[:, 0])), south=south)
        if told != wanted:
            yield (
                lambda each, told=told: _reread(each, told, wanted),  # type: ignore[misc]
                f"Read in UTM zone {wanted % 100}{'S' if wanted // 100 == 327 else 'N'}, {{found}} would be: give "
                f"--crs EPSG:{wanted}.",
            )


def _utm(longitude: float, *, south: bool) -> int:
    """EPSG code of the UTM zone (WGS 84) of a longitude."""
    return (32700 if south else 32600) + min(60, int((longitude + 180) // 6) + 1)


def _from_degrees(crs: pyproj.CRS) -> Any:
    return pyproj.Transformer.from_crs(pyproj.CRS.from_epsg(4326), crs, always_xy=True)


def _reread(points: Points, told: int, wanted: int) -> Points:
    """Points that were taken for one UTM zone, as they lie in another."""
    eastings = np.column_stack(_from_degrees(pyproj.CRS.from_epsg(told)).transform(*points.T))
    back = pyproj.Transformer.from_crs(pyproj.CRS.from_epsg(wanted), pyproj.CRS.from_epsg(4326), always_xy=True)
    return np.column_stack(back.transform(*eastings.T))
