"""The project's area of interest: where its tiles are made and counted."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, select

from db.models import Import
from maploop.errors import InputError
from maploop.imagery.tilemath import Tile, count_tiles_covering, tiles_covering
from maploop.project import ProjectView

MAX_TILES = 250_000
SLACK = 0.005  # of a tile's side: what rounding to six decimals takes off an area drawn along tiles


def area_of(connection: Connection, project: ProjectView, *, without: int | None = None) -> BaseGeometry | None:
    """The area that was imported last and not taken back, EPSG:4326; None: the project has none.

    `without`: leave out this import.
    """
    return connection.execute(
        select(Import.area)
        .where(
            Import.project_id == project.id,
            Import.kind == "area",
            Import.undone_at.is_(None),
            Import.id != (without or 0),
        )
        .order_by(Import.id.desc())
        .limit(1)
    ).scalar()


def reach_into(area: BaseGeometry, tiles: Sequence[Tile]) -> NDArray[np.bool_]:
    """Which tiles the area reaches into, by more than the slack at their edges."""
    shapely.prepare(area)
    return np.asarray(shapely.intersects(area, _boxes(tiles)), dtype=np.bool_)


def wholly_within(area: BaseGeometry, tiles: Sequence[Tile]) -> NDArray[np.bool_]:
    """Which tiles the area covers wholly, but for the slack at their edges."""
    shapely.prepare(area)
    return np.asarray(shapely.covers(area, _boxes(tiles)), dtype=np.bool_)


def tiles_of_area(area: BaseGeometry, zoom: int) -> list[Tile]:
    """The tiles of a zoom in an area's bounds. Raises InputError beyond `MAX_TILES`."""
    count = count_tiles_covering(area.bounds, zoom)
    if count > MAX_TILES:
        msg = f"The area's bounds hold {count:,} tiles of zoom {zoom}, at most {MAX_TILES:,} are allowed: cut it up."
        raise InputError(msg)
    return list(tiles_covering(area.bounds, zoom))


def _boxes(tiles: Sequence[Tile]) -> NDArray[np.object_]:
    """The tiles as boxes in degrees, drawn in by the slack."""
    west, south, east, north = np.array([tile.bounds for tile in tiles], dtype=np.float64).reshape(-1, 4).T
    x, y = (east - west) * SLACK, (north - south) * SLACK
    return np.asarray(shapely.box(west + x, south + y, east - x, north - y), dtype=object)
