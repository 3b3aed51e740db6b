"""The rule that no finished tile holds anything undecided, to be checked after whatever acts."""

from typing import Any

from sqlalchemy import exists, select

from db.conditions import undecided
from db.engine import Database
from db.models import Decision, Feature, Prediction, Run, Tile, TileEvent, TileFeature
from maploop.review.progress import FINISHED


def finished_with_something_open(database: Database) -> list[Any]:
    """Features undecided on finished tiles, but for those that a model predicted only after the tile was finished."""
    last = (
        select(TileEvent.stored_at)
        .where(TileEvent.tile_id == Tile.id, TileEvent.act == "complete")
        .order_by(TileEvent.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    decided_before = exists().where(Decision.feature_id == Feature.id, Decision.audit_id.is_(None))
    query = (
        select(Tile.x, Tile.status, Feature.id)
        .join(TileFeature, TileFeature.tile_id == Tile.id)
        .join(Feature, Feature.id == TileFeature.feature_id)
        .join(Prediction, Prediction.id == Feature.prediction_id)
        .join(Run, Run.id == Prediction.run_id)
        .where(Tile.status.in_(FINISHED), undecided(), decided_before | (Run.started_at < last) | last.is_(None))
    )
    with database.read() as connection:
        return list(connection.execute(query).all())
