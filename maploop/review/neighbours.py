"""Finished tiles that share a feature decided elsewhere: those whose annotations thereby change are open again.

A feature that crosses a border is one feature, decided once. A finished tile is the word of a person that its
annotations are right and whole; when somebody changes them from the tile beside it, that word holds no longer.
"""

from dataclasses import dataclass

import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, bindparam, select

from db.models import Annotator, Tile, TileFeature
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.review.decisions import Change, Desk
from maploop.review.progress import FINISHED
from maploop.review.reopen import reopen_tiles
from maploop.review.standing import Standing

_SAME_DEGREES = 1e-9  # a tenth of a millimetre: what cutting the same outline again may differ by
_OTHER_TILES = select(TileFeature.tile_id).where(
    TileFeature.feature_id == bindparam("feature"), TileFeature.tile_id != bindparam("tile")
)
# All are locked, not only finished ones: whoever says "nothing missing" of one at this moment waits, and counts anew.
_LOCKED = (
    select(Tile.id, Tile.z, Tile.x, Tile.y, Tile.status, Tile.finished_by)
    .where(Tile.id.in_(bindparam("tiles", expanding=True)))
    .order_by(Tile.id)
    .with_for_update()
)
_NAME = select(Annotator.name).where(Annotator.id == bindparam("annotator"))


@dataclass(frozen=True)
class _Part:
    """A feature's share in the annotations of one tile; `is_ignored`: nobody was sure of it."""

    is_ignored: bool
    class_id: int
    geometry: BaseGeometry


def reopen_neighbours(connection: Connection, desk: Desk, change: Change, *, is_undo: bool) -> list[int]:
    """Open finished tiles whose annotations a decision on another tile has changed -> their ids.

    A complete tile of the same person stays so: who finished it has seen the feature and decided it themselves. An
    undo opens all that share the feature.
    """
    where = {"feature": change.feature_id, "tile": desk.tile_id}
    others = set(connection.execute(_OTHER_TILES, where).scalars()) | (change.left - {desk.tile_id})
    if not others:
        return []
    reopened = [
        row.id
        for row in connection.execute(_LOCKED, {"tiles": sorted(others)}).all()
        if row.status in FINISHED
        and (
            is_undo
            or (
                (row.status == "approved" or row.finished_by != desk.annotator_id)
                and changes(TileAddress(row.z, row.x, row.y).polygon, change.before, change.after)
            )
        )
    ]
    if reopened:
        name = connection.execute(_NAME, {"annotator": desk.annotator_id}).scalar_one()
        reopen_tiles(connection, reopened, desk.annotator_id, _comment(desk, change, name, is_undo=is_undo))
    return reopened


def changes(tile: BaseGeometry, before: Standing | None, after: Standing) -> bool:
    """Tell whether a decision changes the annotations of a tile, given by its outline in EPSG:4326."""
    if after.verdict is None:
        return True
    earlier, later = _part(tile, before), _part(tile, after)
    if earlier is None or later is None:
        return earlier is not later
    if (earlier.is_ignored, earlier.class_id) != (later.is_ignored, later.class_id):
        return True
    return not shapely.equals_exact(earlier.geometry, later.geometry, tolerance=_SAME_DEGREES)


def _part(tile: BaseGeometry, standing: Standing | None) -> _Part | None:
    if standing is None or standing.verdict in (None, "reject"):
        return None
    part = shapely.intersection(standing.geometry, tile)
    if part.is_empty or shapely.get_dimensions(part) < shapely.get_dimensions(standing.geometry):
        return None
    return _Part(standing.verdict == "unsure", standing.class_id, shapely.normalize(part))


def _comment(desk: Desk, change: Change, name: str, *, is_undo: bool) -> str:
    of = desk.project.class_with_id(change.after.class_id).name
    act = _ACTS["undo"] if is_undo else _ACTS[change.after.verdict or "undo"]
    return f"{name} {act} a {of} that reaches onto this tile, from tile {desk.address}: look again, and finish it anew."


_ACTS = {
    "accept": "accepted",
    "correct": "corrected",
    "reject": "rejected",
    "add": "drew",
    "unsure": "was unsure of",
    "undo": "took back a decision about",
}
