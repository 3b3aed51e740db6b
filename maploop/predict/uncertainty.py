"""How little the models know of a tile: what orders the queue when the most uncertain comes first."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, case, func, select, update

from db.models import Feature, Prediction, Tile, TileFeature

UNSCORED = 0.5


def refresh_uncertainty(connection: Connection, tile_ids: Sequence[int]) -> None:
    """Set each tile's uncertainty: the mean over its undecided features of 1 - |2 score - 1|, unscored ones 0.5.

    A tile with nothing undecided is not uncertain: 0.
    """
    if not tile_ids:
        return
    of_one = case((Prediction.score.is_(None), UNSCORED), else_=1 - func.abs(2 * Prediction.score - 1))
    mean = (
        select(func.coalesce(func.avg(of_one), 0.0))
        .select_from(TileFeature)
        .join(Feature, Feature.id == TileFeature.feature_id)
        .join(Prediction, Prediction.id == Feature.prediction_id)
        .where(TileFeature.tile_id == Tile.id, Feature.verdict.is_(None), Feature.withdrawn.is_(False))
        .correlate(Tile)
        .scalar_subquery()
    )
    connection.execute(
        update(Tile).where(Tile.id == bindparam("tile")).values(uncertainty=mean), [{"tile": each} for each in tile_ids]
    )
