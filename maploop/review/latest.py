"""The latest act of a person, by the order of storing: where an undo begins that no browser remembers."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Row, case, exists, select
from sqlalchemy.orm import aliased

from db.models import Decision, Feature, Tile, TileEvent, TileFeature
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.review.progress import FINISHED


@dataclass(frozen=True)
class LatestAct:
    """A decision that stands, or a tile that was said to be complete and still is. `id`: of the decision or event."""

    act: Literal["decision", "complete"]
    id: str
    tile: TileAddress
    feature: int | str | None = None


def latest_act(connection: Connection, project_id: int, annotator_id: int) -> LatestAct | None:
    """The latest act of this annotator that can be taken back; None when there is none.

    Decisions of a spot check, of a rule and of a file of truth are taken back elsewhere, by the lot.
    """
    decision = _latest_decision(connection, project_id, annotator_id)
    event = _latest_completion(connection, project_id, annotator_id)
    if event is not None and (decision is None or _is_later(event, decision)):
        return LatestAct("complete", event.id, TileAddress(event.z, event.x, event.y))
    if decision is None:
        return None
    address = TileAddress(decision.z, decision.x, decision.y)
    return LatestAct("decision", decision.id, address, decision.added_as or decision.feature_id)


def _latest_decision(connection: Connection, project_id: int, annotator_id: int) -> Row[*tuple[object, ...]] | None:
    return connection.execute(
        select(
            Decision.seq, Decision.id, Decision.feature_id, Decision.tile_id, Decision.stored_at,
            Feature.added_as, Tile.z, Tile.x, Tile.y,
        )
        .join(Feature, Feature.id == Decision.feature_id)
        .join(TileFeature, TileFeature.feature_id == Feature.id)
        .join(Tile, Tile.id == TileFeature.tile_id)
        .where(
            Decision.project_id == project_id,
            Decision.annotator_id == annotator_id,
            Decision.audit_id.is_(None),
            Decision.rule_id.is_(None),
            Decision.import_id.is_(None),
            Decision.made_at != Decision.stored_at,  # equal for what came from a file, before imports were on record
            Feature.decision_id == Decision.id,
        )
        .order_by(Decision.seq.desc(), case((Tile.id == Decision.tile_id, 0), else_=1))  # it may have moved on since
        .limit(1)
    ).first()  # fmt: skip


def _latest_completion(connection: Connection, project_id: int, annotator_id: int) -> Row[*tuple[object, ...]] | None:
    """The latest "nothing missing" of the annotator on a tile that is still finished by it."""
    later = aliased(TileEvent)
    return connection.execute(
        select(TileEvent.id, TileEvent.tile_id, TileEvent.stored_at, TileEvent.after_decision, Tile.z, Tile.x, Tile.y)
        .join(Tile, Tile.id == TileEvent.tile_id)
        .where(
            Tile.project_id == project_id,
            Tile.status.in_(FINISHED),
            TileEvent.annotator_id == annotator_id,
            TileEvent.act == "complete",
            TileEvent.drawn_by != "import",
            ~exists().where(
                later.tile_id == TileEvent.tile_id, later.seq > TileEvent.seq, later.act.in_(("complete", "reopen"))
            ),
        )
        .order_by(TileEvent.seq.desc())
        .limit(1)
    ).first()


def _is_later(event: Row[*tuple[object, ...]], decision: Row[*tuple[object, ...]]) -> bool:
    """True when the tile was finished after the decision; on one tile it always was, or it would be open."""
    if event.tile_id == decision.tile_id:
        return True
    if event.after_decision is None:  # an event of before Maploop noted that
        return bool(event.stored_at >= decision.stored_at)
    return bool(event.after_decision >= decision.seq)
