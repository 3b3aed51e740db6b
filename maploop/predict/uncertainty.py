"""How little the models know of a tile: what orders the queue when the most uncertain comes first."""

from collections.abc import Sequence

from sqlalchemy import Connection, case, func, select

from db.bulk import update_rows
from db.conditions import undecided
from db.models import Feature, Prediction, Tile, TileFeature

UNSCORED = 0.5


def refresh_uncertainty(connection: Connection, project_id: int, tile_ids: Sequence[int]) -> None:
    """Set each tile's uncertainty: the mean over its undecided features of 1 - |2 score - 1|, unscored ones 0.5.

    A tile with nothing undecided is not uncertain: 0.
    """
    if not tile_ids:
        return
    of_one = case((Prediction.score.is_(None), UNSCORED), else_=1 - func.abs(2 * Prediction.score - 1))
    rows = connection.execute(
        select(TileFeature.tile_id, func.avg(of_one))
        .join(Feature, Feature.id == TileFeature.feature_id)
        .join(Prediction, Prediction.id == Feature.prediction_id)
        .where(Feature.project_id == project_id, TileFeature.tile_id.between(min(tile_ids), max(tile_ids)), undecided())
        .group_by(TileFeature.tile_id)
    )
    means: dict[int, float] = dict(rows.all())
    update_rows(connection, Tile, tile_ids, {"uncertainty": [means.get(each, 0.0) for each in tile_ids]})
