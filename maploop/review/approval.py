"""Approval of a tile that is finished again: it holds as long as nothing has changed the tile since."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, exists, or_, select
from sqlalchemy.orm import aliased

from db.models import Decision, TileEvent

OUTCOMES = ("approve", "return")


def is_still_approved(outcome: Any, until: Any = None) -> ColumnElement[bool]:
    """Build the condition that a tile was approved and that nothing has changed it since, there or from elsewhere.

    `outcome` is the latest `approve` or `return` of the tile, `until` the act up to which changes are looked for, all
    of them without one: both columns or aliases of `TileEvent`.
    """
    # Acts from before Maploop noted which decision was the last have their time alone.
    decided: ColumnElement[bool] = case(
        (outcome.after_decision.is_not(None), Decision.seq > outcome.after_decision),
        else_=Decision.stored_at >= outcome.stored_at,
    )
    reopened = TileEvent.seq > outcome.seq
    if until is not None:
        decided &= case(
            (until.after_decision.is_not(None), Decision.seq <= until.after_decision),
            else_=Decision.stored_at <= until.stored_at,
        )
        reopened &= TileEvent.seq < until.seq
    changed = exists().where(
        Decision.tile_id == outcome.tile_id,
        Decision.audit_id.is_(None),
        decided,
        or_(Decision.verdict != "reject", Decision.previous_id.is_not(None)),
    )
    from_elsewhere = exists().where(  # only those acts say why
        TileEvent.tile_id == outcome.tile_id, reopened, TileEvent.act == "reopen", TileEvent.comment != ""
    )
    return and_(outcome.act == "approve", ~changed, ~from_elsewhere)


_OUTCOME = aliased(TileEvent, name="outcome")
_STILL_APPROVED = (
    select(is_still_approved(_OUTCOME))
    .where(_OUTCOME.tile_id == bindparam("tile"), _OUTCOME.act.in_(OUTCOMES))
    .order_by(_OUTCOME.seq.desc())
    .limit(1)
)


def still_approved(connection: Connection, tile_id: int) -> bool:
    """Tell whether a tile that is finished now is approved without another look."""
    return bool(connection.execute(_STILL_APPROVED, {"tile": tile_id}).scalar())
