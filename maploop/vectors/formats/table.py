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
    crs_problem     why what the file says of its CRS is not known, when it is not; empty text otherwise
    problems        row -> why its geometry cannot be read
    class_field     the field that holds the class by the format's own rules
    on_tiles        drawn on images of tiles, so that its place is certain
    looked_at       the tiles whose images were looked at as a whole, with and without features, each once
    unclassed       why the file cannot say what class its rows are, when it cannot; empty text otherwise
    is_tagged       fields are tags of OSM, so that a class is one of them
    joined_to       rows that tiles cut from one feature -> the first row of that feature
    crowds          rows that are ground with many features of the class, none of its own (COCO's iscrowd)
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
    unclassed: str = ""
    is_tagged: bool = False
    joined_to: dict[int, int] = field(default_factory=dict)
    crowds: set[int] = field(default_factory=set)
    crs_problem: str = ""
    passed_over: set[int] = field(default_factory=set)
    tiles: list[Tile | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.properties)


def stacked(tables: list[SourceTable]) -> SourceTable:
    """Several layers of one CRS as one table, rows numbered on."""
    if len(tables) == 1:
        return tables[0]
    return SourceTable(
        geometries=np.concatenate([table.geometries for table in tables]),
        properties=[row for table in tables for row in table.properties],
        crs=tables[0].crs,
        problems={start + row: why for start, table in _begun(tables) for row, why in table.problems.items()},
        class_field=fields.pop() if len(fields := {table.class_field for table in tables}) == 1 else None,
        looked_at=list(dict.fromkeys(tile for table in tables for tile in table.looked_at)),
        unclassed=next((table.unclassed for table in tables if table.unclassed), ""),
        is_tagged=all(table.is_tagged for table in tables),
        joined_to={start + row: start + to for start, table in _begun(tables) for row, to in table.joined_to.items()},
        crowds={start + row for start, table in _begun(tables) for row in table.crowds},
        passed_over={start + row for start, table in _begun(tables) for row in table.passed_over},
        tiles=[tile for table in tables for tile in (table.tiles or [None] * len(table))],
    )


def _begun(tables: list[SourceTable]) -> list[tuple[int, SourceTable]]:
    """Each table with the number of its first row."""
    starts = np.cumsum([0, *(len(table) for table in tables)]).tolist()
    return list(zip(starts, tables, strict=False))
