"""Claims: leases on tiles. One annotator at a time; a lease ends by itself, so nobody who left blocks the rest."""

from datetime import timedelta
from functools import lru_cache

from sqlalchemy import Connection, Executable, bindparam, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from db.models import Annotator, Claim
from db.types import utc_now
from maploop.errors import ClaimError

_RENEWED = ("annotator_id", "expires_at", "ahead")
_KEPT = ("taken_at", "drawn_by")
_HELD = select(Claim.tile_id).where(
    Claim.tile_id == bindparam("tile"),
    Claim.annotator_id == bindparam("annotator"),
    Claim.expires_at > bindparam("now"),
)
_RELEASE = delete(Claim).where(Claim.tile_id == bindparam("tile"), Claim.annotator_id == bindparam("annotator"))


@lru_cache(maxsize=4)
def _taking(dialect: str, *, afresh: bool) -> Executable:
    """The statement that claims a tile; `afresh` also replaces when and how it was found."""
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    statement = insert(Claim).values(
        {column: bindparam(column) for column in (*_RENEWED, *_KEPT, "tile_id")},
    )
    replaced = (*_RENEWED, *_KEPT) if afresh else _RENEWED
    taking = statement.on_conflict_do_update(
        index_elements=[Claim.tile_id],
        set_={column: statement.excluded[column] for column in replaced},
        where=or_(
            Claim.annotator_id == statement.excluded.annotator_id, Claim.expires_at <= statement.excluded.taken_at
        ),
    )
    return taking.returning(Claim.tile_id)


def take(
    connection: Connection, tile_id: int, annotator_id: int, seconds: int, *, ahead: bool = False, drawn_by: str = ""
) -> bool:
    """Claim a tile for `seconds`: True when it is now this annotator's, False when somebody else holds it.

    Taking what one holds already renews it. `drawn_by` says how the tile was found; empty keeps what was said before.
    """
    now = utc_now()
    row = {
        "tile_id": tile_id,
        "annotator_id": annotator_id,
        "taken_at": now,
        "expires_at": now + timedelta(seconds=seconds),
        "ahead": ahead,
        "drawn_by": drawn_by or "address",
    }
    return connection.execute(_taking(connection.dialect.name, afresh=bool(drawn_by)), row).first() is not None


def require(connection: Connection, tile_id: int, address: str, annotator_id: int, seconds: int) -> None:
    """Make sure the annotator holds the tile, renewing the lease; one that ran out is taken again if it is free.

    Raises ClaimError naming the holder.
    """
    if not take(connection, tile_id, annotator_id, seconds):
        msg = f"Tile {address} is held by {holder_of(connection, tile_id)} now: your claim on it had expired."
        raise ClaimError(msg)


def holder_of(connection: Connection, tile_id: int) -> str:
    """The name of the annotator whose claim the tile is under."""
    query = select(Annotator.name).join(Claim, Claim.annotator_id == Annotator.id).where(Claim.tile_id == tile_id)
    return connection.execute(query).scalar() or "nobody"


def is_held_by(connection: Connection, tile_id: int, annotator_id: int) -> bool:
    """True when the annotator holds the tile already, in another window or since before a reload."""
    where = {"tile": tile_id, "annotator": annotator_id, "now": utc_now()}
    return connection.execute(_HELD, where).first() is not None


def release(connection: Connection, tile_id: int, annotator_id: int) -> None:
    """Give a tile back; nothing happens when somebody else holds it."""
    connection.execute(_RELEASE, {"tile": tile_id, "annotator": annotator_id})
