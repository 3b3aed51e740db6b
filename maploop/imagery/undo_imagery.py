"""Taking back imagery: tiles lose it, or get other imagery that covers them; what people decided there stays."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, update

from db.models import Imagery, Import
from db.models import Tile as TileRow
from db.types import utc_now
from maploop.errors import ConflictError
from maploop.imagery.tilemath import Tile
from maploop.imagery.tiles import cover, on_imagery_of_servers
from maploop.import_records import ImportView
from maploop.project import ProjectView


def undo_imagery(
    connection: Connection, project: ProjectView, undone: ImportView, others: Mapping[int, Sequence[Tile]]
) -> dict[str, int]:
    """Take back imagery -> counts: tiles `uncovered`, and those `covered_by_other` imagery now.

    others      imagery id -> tiles that it covers, as `scope.tiles_by_imagery` lists them

    An import that refreshed known imagery gives back what was known before. Raises ConflictError when a later import
    has refreshed this one.
    """
    later = connection.execute(
        select(func.min(Import.id)).where(
            Import.imagery_id == undone.imagery_id, Import.id > undone.id, Import.undone_at.is_(None)
        )
    ).scalar()
    if later is not None:
        msg = f"Import {later} refreshed this imagery and still stands: take that one back first."
        raise ConflictError(msg)
    before: dict[str, Any] | None = undone.report.get("before")
    if before is not None:
        connection.execute(update(Imagery).where(Imagery.id == undone.imagery_id).values(**before))
        mine = TileRow.import_id == undone.id
    else:
        connection.execute(update(Imagery).where(Imagery.id == undone.imagery_id).values(withdrawn_at=utc_now()))
        mine = TileRow.project_id == project.id
    rows = connection.execute(
        select(TileRow.id, TileRow.x, TileRow.y).where(mine, TileRow.imagery_id == undone.imagery_id)
    ).all()
    left = {Tile(project.zoom, row.x, row.y): row.id for row in rows}
    cover(connection, list(left.values()), None)
    count = len(left)
    for imagery_id, tiles in others.items():
        found = [left.pop(tile) for tile in tiles if tile in left]
        cover(connection, found, imagery_id)
    rest = list(left)
    for tile, server in zip(rest, on_imagery_of_servers(connection, project, rest), strict=True):
        if server is not None:
            cover(connection, [left.pop(tile)], server)
    return {"uncovered": len(left), "covered_by_other": count - len(left)}
