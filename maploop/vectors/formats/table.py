"""What every format is read into, before anything is checked."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyproj

from maploop.imagery.tilemath import Tile
from maploop.vectors.geometry import Geometries


@dataclass
class SourceTable:
    """Rows of one layer as the file has them.

    geometries      shapely geometries of any type in `crs`; None where there is none or it cannot be read
    properties      the fields of each row
    crs             None where the file does not say
    problems        row -> why its geometry cannot be read
    class_field     the field that holds the class by the format's own rules
    on_tiles        drawn on images of tiles, so that its place is certain
    looked_at       the tiles whose images were looked at as a whole, with and without features, each once
    passed_over     rows with a problem that leave nothing missing: they are no shapes, or another row stands for them
    tiles           the tile that each row was drawn on; empty when the rows were not drawn on tiles
    """

    geometries: Geometries
    properties: list[dict[str, Any]]
    crs: pyproj.CRS | None = None
    problems: dict[int, str] = field(default_factory=dict)
    class_field: str | None = None
    on_tiles: bool = False
    looked_at: list[Tile] = field(default_factory=list)
    passed_over: set[int] = field(default_factory=set)
    tiles: list[Tile | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.properties)


def stacked(tables: list[SourceTable]) -> SourceTable:
    """Several layers of one CRS as one table, rows numbered on."""
    if len(tables) == 1:
        return tables[0]
    starts = np.cumsum([0, *(len(table) for table in tables)]).tolist()
    return SourceTable(
        geometries=np.concatenate([table.geometries for table in tables]),
        properties=[row for table in tables for row in table.properties],
        crs=tables[0].crs,
        problems={
            start + row: reason
            for start, table in zip(starts, tables, strict=False)
            for row, reason in table.problems.items()
        },
    )
