"""Shapes drawn on images of tiles, gathered one by one into a table."""

from collections.abc import Iterable
from typing import Any

import pyproj

from maploop.imagery.tilemath import Tile
from maploop.vectors.formats.geojson import geometries_of_json
from maploop.vectors.formats.pixels import to_ground
from maploop.vectors.formats.table import SourceTable


class Drawn:
    """Parallel lists that grow shape by shape."""

    def __init__(self) -> None:
        self.shapes: list[object] = []
        self.properties: list[dict[str, Any]] = []
        self.tiles: list[Tile | None] = []
        self.sizes: list[tuple[float, float]] = []
        self.problems: dict[int, str] = {}

    def add(
        self,
        shape: object,
        fields: dict[str, Any],
        tile: Tile | None,
        size: tuple[float, float] = (1.0, 1.0),
        problem: str = "",
    ) -> None:
        """One shape as GeoJSON in units of its image's `size`, or the problem that it is none; class in `label`."""
        if problem or tile is None:
            self.problems[len(self.shapes)] = problem or f"its image {_short(fields)} does not say which tile it is"
        self.shapes.append(shape)
        self.properties.append(fields)
        self.tiles.append(tile)
        self.sizes.append(size)

    def table(self, looked_at: Iterable[Tile | None]) -> SourceTable:
        """All of them on the ground."""
        geometries, unreadable = geometries_of_json(self.shapes)
        widths, heights = [size[0] for size in self.sizes], [size[1] for size in self.sizes]
        return SourceTable(
            to_ground(geometries, self.tiles, widths, heights),
            self.properties,
            pyproj.CRS.from_epsg(4326),
            {**unreadable, **self.problems},
            class_field="label",
            on_tiles=True,
            looked_at=list(dict.fromkeys(tile for tile in looked_at if tile is not None)),
            tiles=self.tiles,
        )


def _short(fields: dict[str, Any]) -> str:
    return repr(str(fields.get("image"))[:60])


def closed(ring: list[list[float]]) -> list[list[float]]:
    """A ring that ends where it begins."""
    return ring if ring and ring[0] == ring[-1] else [*ring, *ring[:1]]


def box(left: float, top: float, right: float, bottom: float) -> dict[str, Any]:
    """A rectangle as GeoJSON."""
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    return {"type": "Polygon", "coordinates": [ring]}
