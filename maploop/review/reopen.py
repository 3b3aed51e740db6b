"""Opening finished tiles again, in one place: what they say changes, and whoever finished them is told why."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select

from db.bulk import in_lists, insert_rows, reserve_ids, update_rows
from db.models import Tile, TileEvent
from db.types import stored_now
from maploop.review.bulk import last_decision, new_ids
from maploop.review.progress import FINISHED


def finished_among(connection: Connection, tile_ids: Collection[int]) -> list[int]:
    """Select the tiles that are complete or approved, in the order of their ids."""
    found: list[int] = []
    for ids in in_lists(sorted(tile_ids)):
        query = select(Tile.id).where(Tile.id.in_(ids), Tile.status.in_(FINISHED)).order_by(Tile.id)
        found += connection.execute(query).scalars()
    return found


def reopen_tiles(
    connection: Connection,
    tile_ids: Sequence[int],
    annotator_id: int,
    comment: str,
    *,
    drawn_by: str = "address",
    import_id: int | None = None,
    forget_finisher: bool = False,
) -> None:
    """Open finished tiles again because of an act elsewhere; `comment` says which, on the tile and in its event.

    The tile comes first in the queue of whoever finished it, unless that is forgotten, as after an import is taken
    back that had finished it. Needs a write transaction.
    """
    if not tile_ids:
        return
    count = len(tile_ids)
    insert_rows(
        connection,
        TileEvent,
        {
            "seq": reserve_ids(connection, TileEvent, count),
            "id": new_ids(count),
            "tile_id": tile_ids,
            "annotator_id": [annotator_id] * count,
            "act": ["reopen"] * count,
            "comment": [comment] * count,
            "seconds": [0.0] * count,
            "drawn_by": [drawn_by] * count,
            "import_id": [import_id] * count,
            "stored_at": [stored_now()] * count,
            "after_decision": [last_decision(connection)] * count,
        },
    )
    values: dict[str, list[object]] = {"status": ["open"] * count, "comment": [comment] * count}
    if forget_finisher:
        values |= {"finished_by": [None] * count, "finished_at": [None] * count}
    update_rows(connection, Tile, tile_ids, values)
