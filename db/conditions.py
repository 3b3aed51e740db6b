"""Conditions that several queries share."""

from sqlalchemy import ColumnElement, and_, exists, or_

from db.models import Feature, Prediction, Run, Tile, TileFeature


def undecided() -> ColumnElement[bool]:
    """Features that still ask for attention: predicted, not withdrawn, not decided."""
    return and_(Feature.verdict.is_(None), Feature.withdrawn.is_(False), Feature.prediction_id.is_not(None))


def gone() -> ColumnElement[bool]:
    """Predicted features not to be shown while undecided.

    A later run did not find them, the file that brought them was taken back, their score lies below the cut of their
    run, or they reach onto a blind tile.
    """
    return or_(
        Feature.withdrawn_by.is_not(None),
        _of_run(Run.withdrawn_at.is_not(None)),
        below_cut(),
        on_blind_tile(),
    )


def below_cut() -> ColumnElement[bool]:
    """Features that show a prediction with a score below the cut of its run."""
    return _of_run(Prediction.score < Run.score_cut)


def on_blind_tile() -> ColumnElement[bool]:
    """Features that reach onto a blind tile."""
    return exists().where(TileFeature.feature_id == Feature.id, Tile.id == TileFeature.tile_id, Tile.blind.is_(True))


def _of_run(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(Prediction.id == Feature.prediction_id, Run.id == Prediction.run_id, condition)


def counts() -> ColumnElement[bool]:
    """Tiles that are part of the work: not set aside, as those outside the project's area are."""
    return Tile.set_aside.is_(None)


def on_counted_tile() -> ColumnElement[bool]:
    """Features on at least one tile that counts."""
    return exists().where(TileFeature.feature_id == Feature.id, Tile.id == TileFeature.tile_id, counts())
