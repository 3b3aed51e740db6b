"""How far a project and one annotator are: cheap counts, asked for with every tile."""

from datetime import timedelta
from typing import TypedDict

from sqlalchemy import Connection, func, select

from db.models import Decision, Feature, Tile, TileEvent
from db.types import utc_now

FINISHED = ("complete", "approved")


class TileProgress(TypedDict):
    """Tiles finished by anybody, all tiles with imagery, and those finished by this annotator."""

    finished: int
    total: int
    mine: int


class FeatureProgress(TypedDict):
    """Features decided, and all there are to decide."""

    decided: int
    total: int


class HourProgress(TypedDict):
    """What this annotator did in the last hour."""

    tiles: int
    features: int


class Progress(TypedDict):
    """PROGRESS of docs/review-map.md."""

    tiles: TileProgress
    features: FeatureProgress
    hour: HourProgress


def progress_of(connection: Connection, project_id: int, annotator_id: int) -> Progress:
    """The counts of PROGRESS. Tiles without imagery cannot be reviewed and do not count."""
    statuses = dict(
        connection.execute(
            select(Tile.status, func.count())
            .where(Tile.project_id == project_id, Tile.imagery_id.is_not(None))
            .group_by(Tile.status)
        ).all()
    )
    mine = connection.execute(
        select(func.count()).where(
            Tile.project_id == project_id, Tile.status.in_(FINISHED), Tile.finished_by == annotator_id
        )
    ).scalar_one()
    verdicts = dict(
        connection.execute(
            select(Feature.verdict, func.count()).where(Feature.project_id == project_id).group_by(Feature.verdict)
        ).all()
    )
    an_hour_ago = utc_now() - timedelta(hours=1)
    hour_tiles = connection.execute(
        select(func.count(TileEvent.tile_id.distinct()))
        .join(Tile, Tile.id == TileEvent.tile_id)
        .where(
            TileEvent.annotator_id == annotator_id,
            TileEvent.stored_at > an_hour_ago,
            TileEvent.act == "complete",
            Tile.project_id == project_id,
        )
    ).scalar_one()
    hour_features = connection.execute(
        select(func.count()).where(
            Decision.project_id == project_id,
            Decision.annotator_id == annotator_id,
            Decision.stored_at > an_hour_ago,
            Decision.verdict != "undo",
            Decision.rule_id.is_(None),
        )
    ).scalar_one()
    total = sum(verdicts.values())
    return {
        "tiles": {
            "finished": sum(statuses.get(each, 0) for each in FINISHED),
            "total": sum(statuses.values()),
            "mine": mine,
        },
        "features": {"decided": total - verdicts.get(None, 0), "total": total},
        "hour": {"tiles": hour_tiles, "features": hour_features},
    }
