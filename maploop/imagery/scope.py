"""Which tiles are part of the work: made and counted within the project's area, set aside outside and when unheld."""

from collections.abc import Sequence

import numpy as np
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, delete, select

from db.bulk import in_lists, table_of, update_rows
from db.models import Base, Claim, Imagery, Import, ImportTile, TileFeature
from db.models import Tile as TileRow
from maploop.errors import MaploopError
from maploop.imagery.area import area_of, reach_into, tiles_of_area
from maploop.imagery.coverage import covered_tiles
from maploop.imagery.info import SourceInfo
from maploop.imagery.source import open_source
from maploop.imagery.tilemath import Tile
from maploop.imagery.tiles import REMOTE_KINDS
from maploop.project import ProjectView

MAX_TILES = 250_000
_HOLD_NOTHING = (Claim, ImportTile, TileFeature)  # what refers to a tile without being a reason to keep it


def tiles_by_imagery(
    connection: Connection, project: ProjectView, area: BaseGeometry | None, *, without: int | None = None
) -> dict[int, list[Tile]]:
    """Imagery id -> tiles of the working zoom that it covers within an area, oldest imagery first.

    Without an area, servers are left out: their tiles come with the features. So is imagery that cannot be opened now,
    and the one `without`. Reads pixels, so better outside of a write transaction.
    """
    rows = connection.execute(
        select(Imagery.id, Imagery.kind, Imagery.info)
        .where(Imagery.project_id == project.id, Imagery.withdrawn_at.is_(None))
        .order_by(Imagery.id)
    ).all()
    found: dict[int, list[Tile]] = {}
    for row in rows:
        if row.id == without or (area is None and row.kind in REMOTE_KINDS):
            continue
        try:
            found[row.id] = tiles_of_source(SourceInfo.from_json(row.info), project.zoom, area)
        except MaploopError:
            continue
    return found


def tiles_of_source(info: SourceInfo, zoom: int, area: BaseGeometry | None) -> list[Tile]:
    """The tiles of a zoom that imagery covers within an area; of a server, all within its bounds. Raises ImageryError.

    A server needs the area.
    """
    if info.kind in REMOTE_KINDS and area is not None:
        west, south, east, north = info.bounds or (-180.0, -90.0, 180.0, 90.0)
        tiles = [
            tile
            for tile in tiles_of_area(area, zoom)
            if tile.bounds[0] < east and tile.bounds[2] > west and tile.bounds[1] < north and tile.bounds[3] > south
        ]
    else:
        bounds = None if area is None else area.bounds
        tiles = list(covered_tiles(open_source(info), zoom, bounds=bounds, max_tiles=MAX_TILES))
    return tiles if area is None else within_area(area, tiles)


def within_area(area: BaseGeometry, tiles: Sequence[Tile]) -> list[Tile]:
    """Select the tiles that an area reaches into."""
    return [tile for tile, inside in zip(tiles, reach_into(area, tiles).tolist(), strict=True) if inside]


def refresh_scope(connection: Connection, project: ProjectView) -> int:
    """Set aside the tiles outside the project's area and take the others back -> how many are outside."""
    area = area_of(connection, project)
    rows = connection.execute(
        select(TileRow.id, TileRow.x, TileRow.y, TileRow.set_aside).where(
            TileRow.project_id == project.id,
            TileRow.z == project.zoom,
            TileRow.set_aside.is_(None) | (TileRow.set_aside == "area"),
        )
    ).all()
    inside = np.ones(len(rows), dtype=np.bool_)
    if area is not None and rows:
        inside = reach_into(area, [Tile(project.zoom, row.x, row.y) for row in rows])
    wanted = [None if each else "area" for each in inside.tolist()]
    changed = [(row.id, value) for row, value in zip(rows, wanted, strict=True) if row.set_aside != value]
    update_rows(connection, TileRow, [key for key, _ in changed], {"set_aside": [value for _, value in changed]})
    return sum(each is not None for each in wanted)


def remove_unheld(connection: Connection, project: ProjectView, import_id: int, *, with_imagery: bool = False) -> int:
    """Remove the tiles that an import made and nothing else holds -> how many.

    Imagery, features, work on it and other imports hold a tile; `with_imagery`: imagery does not. Where history refers
    to a tile its row stays, set aside.
    """
    held = select(ImportTile.tile_id).join(Import, Import.id == ImportTile.import_id).where(Import.undone_at.is_(None))
    query = select(TileRow.id).where(
        TileRow.project_id == project.id,
        TileRow.import_id == import_id,
        TileRow.status == "open",
        TileRow.id.not_in(select(TileFeature.tile_id)),
        TileRow.id.not_in(held),
    )
    if not with_imagery:
        query = query.where(TileRow.imagery_id.is_(None))
    tile_ids = sorted(connection.execute(query).scalars())
    referred = _referred_to(connection, tile_ids)
    kept = [each for each in tile_ids if each in referred]
    update_rows(connection, TileRow, kept, {"set_aside": ["import"] * len(kept)})
    for ids in in_lists([each for each in tile_ids if each not in referred]):
        for table in _HOLD_NOTHING:
            connection.execute(delete(table).where(table.tile_id.in_(ids)))
        connection.execute(delete(TileRow).where(TileRow.id.in_(ids)))
    return len(tile_ids)


def _referred_to(connection: Connection, tile_ids: Sequence[int]) -> set[int]:
    """Select the tiles that history refers to: any table but those that hold nothing."""
    ignored = {table_of(each).name for each in _HOLD_NOTHING}
    columns = [
        key.parent
        for table in Base.metadata.sorted_tables
        if table.name not in ignored
        for key in table.foreign_keys
        if key.column is table_of(TileRow).c.id
    ]
    found: set[int] = set()
    for ids in in_lists(tile_ids):
        for column in columns:
            found.update(connection.execute(select(column).where(column.in_(ids)).distinct()).scalars())
    return found
