"""The coverage map: a project's tiles by status, gathered into parent tiles where there are too many to draw."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mercantile
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, exists, func, select

from db.conditions import counts
from db.models import Imagery, Tile
from maploop.imagery.area import area_of
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.project import ProjectView

MAX_CELLS = 5000
# What asks for work comes first: a cell opens its first tile of the first status it has.
STATUSES = ("returned", "open", "complete", "approved")


@dataclass(frozen=True)
class Cell:
    """A tile, or a parent of several: how many have which status, and the one to open."""

    address: TileAddress
    statuses: Mapping[str, int]
    opens: TileAddress

    @property
    def status(self) -> str:
        """The status that most of its tiles have; of equals the one that asks for work."""
        return max(STATUSES, key=lambda status: self.statuses.get(status, 0))


@dataclass(frozen=True)
class Coverage:
    """All cells of a project, of one `zoom`: its own, or a lower one."""

    zoom: int
    cells: tuple[Cell, ...]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north of all cells in EPSG:4326 degrees; there must be one."""
        edges = [each.address.bounds for each in self.cells]
        west, south, east, north = zip(*edges, strict=True)
        return min(west), min(south), max(east), max(north)

    def geojson(self) -> dict[str, Any]:
        """A FeatureCollection of squares with `status`, `says` and `opens`; nothing in it comes from people."""
        return {"type": "FeatureCollection", "features": [_square(each) for each in self.cells]}


@dataclass(frozen=True)
class Backdrop:
    """Imagery to lay under the squares; below `min_zoom` it has nothing to show, above `max_zoom` no more to say."""

    imagery_id: int
    attribution: str
    min_zoom: int
    max_zoom: int


def backdrops_of(connection: Connection, project: ProjectView) -> list[Backdrop]:
    """The project's imagery that covers at least one tile, oldest first."""
    rows = connection.execute(
        select(Imagery.id, Imagery.attribution, Imagery.info)
        .where(Imagery.project_id == project.id, exists().where(Tile.imagery_id == Imagery.id))
        .order_by(Imagery.id)
    )
    return [
        Backdrop(row.id, row.attribution, row.info.get("min_zoom", 0), row.info.get("max_zoom", project.zoom))
        for row in rows
    ]


def area_and_coverage(
    connection: Connection, project: ProjectView
) -> tuple[BaseGeometry | None, "Coverage", list[Backdrop]]:
    """Layers of a map of the project's ground: its area, if it has one, its tiles and its imagery."""
    return area_of(connection, project), coverage_of(connection, project), backdrops_of(connection, project)


def coverage_of(connection: Connection, project: ProjectView, *, max_cells: int = MAX_CELLS) -> Coverage:
    """The project's tiles as at most `max_cells` squares."""
    count = connection.execute(select(func.count()).where(Tile.project_id == project.id, counts())).scalar_one()
    shift = 0
    while count > max_cells * 4**shift:
        shift += 1
    while True:
        cells = _cells(connection, project, shift)
        if len(cells) <= max_cells:
            return Coverage(project.zoom - shift, cells)
        shift += 1  # tiles lie scattered, so that fewer share a parent than could


def _cells(connection: Connection, project: ProjectView, shift: int) -> tuple[Cell, ...]:
    side = 2**shift
    x, y = Tile.x // side, Tile.y // side
    rows = connection.execute(
        select(x, y, Tile.status, func.count(), func.min(Tile.quadkey))
        .where(Tile.project_id == project.id, counts())
        .group_by(x, y, Tile.status)
    )
    statuses: dict[tuple[int, int], dict[str, int]] = {}
    first: dict[tuple[int, int], dict[str, str]] = {}
    for column, row, status, count, quadkey in rows:
        statuses.setdefault((column, row), {})[status] = count
        first.setdefault((column, row), {})[status] = quadkey
    return tuple(
        Cell(
            TileAddress(project.zoom - shift, *place),
            counts,
            _address(next(first[place][status] for status in STATUSES if status in counts)),
        )
        for place, counts in statuses.items()
    )


def _address(quadkey: str) -> TileAddress:
    tile = mercantile.quadkey_to_tile(quadkey)
    return TileAddress(tile.z, tile.x, tile.y)


def _square(cell: Cell) -> dict[str, Any]:
    west, south, east, north = (round(each, 7) for each in cell.address.bounds)
    says = ", ".join(f"{cell.statuses[each]} {each}" for each in STATUSES if each in cell.statuses)
    if sum(cell.statuses.values()) == 1:
        says = f"{cell.address}: {cell.status}"
    return {
        "type": "Feature",
        "properties": {"status": cell.status, "says": says, "opens": str(cell.opens)},
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
        },
    }
