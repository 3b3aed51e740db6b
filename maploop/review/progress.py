"""How far a project and one annotator are: cheap counts, asked for with every tile."""

from datetime import datetime, timedelta
from typing import TypedDict

from sqlalchemy import BindParameter, Connection, bindparam, func, select

from db.conditions import counts, on_counted_tile
from db.models import Decision, Feature, Import, Tile, TileEvent
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


# Asked for with every tile: building a query in Python would take longer than answering it.
_OF_PROJECT: BindParameter[int] = bindparam("project")
_BY_ANNOTATOR: BindParameter[int] = bindparam("annotator")
_SINCE: BindParameter[datetime] = bindparam("since")
_STATUSES = (
    select(Tile.status, func.count(), func.count().filter(Tile.finished_by == _BY_ANNOTATOR))
    .where(Tile.project_id == _OF_PROJECT, Tile.imagery_id.is_not(None), counts())
    .group_by(Tile.status)
)
_VERDICTS = select(Feature.verdict, func.count()).where(Feature.project_id == _OF_PROJECT).group_by(Feature.verdict)
# Slower, so only where there is an area beyond which features may lie.
_HAS_AREA = select(Import.id).where(Import.project_id == _OF_PROJECT, Import.kind == "area", Import.undone_at.is_(None))
_VERDICTS_IN_AREA = _VERDICTS.where(on_counted_tile())
_HOUR_TILES = (
    select(func.count(TileEvent.tile_id.distinct()))
    .join(Tile, Tile.id == TileEvent.tile_id)
    .where(
        TileEvent.annotator_id == _BY_ANNOTATOR,
        TileEvent.stored_at > _SINCE,
        TileEvent.act == "complete",
        Tile.project_id == _OF_PROJECT,
    )
)
_HOUR_FEATURES = select(func.count()).where(
    Decision.project_id == _OF_PROJECT,
    Decision.annotator_id == _BY_ANNOTATOR,
    Decision.stored_at > _SINCE,
    Decision.verdict != "undo",
    Decision.rule_id.is_(None),
)


def progress_of(connection: Connection, project_id: int, annotator_id: int) -> Progress:
    """The counts of PROGRESS. Tiles without imagery or outside the project's area do not count."""
    where = {"project": project_id, "annotator": annotator_id, "since": utc_now() - timedelta(hours=1)}
    statuses = {status: (count, mine) for status, count, mine in connection.execute(_STATUSES, where)}
    finished = [statuses[each] for each in FINISHED if each in statuses]
    has_area = connection.execute(_HAS_AREA.limit(1), where).first() is not None
    verdicts = dict(connection.execute(_VERDICTS_IN_AREA if has_area else _VERDICTS, where).all())
    total = sum(verdicts.values())
    return {
        "tiles": {
            "finished": sum(count for count, _ in finished),
            "total": sum(count for count, _ in statuses.values()),
            "mine": sum(mine for _, mine in finished),
        },
        "features": {"decided": total - verdicts.get(None, 0), "total": total},
        "hour": {
            "tiles": connection.execute(_HOUR_TILES, where).scalar_one(),
            "features": connection.execute(_HOUR_FEATURES, where).scalar_one(),
        },
    }
