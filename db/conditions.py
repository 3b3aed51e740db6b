"""Conditions that several queries share."""

from sqlalchemy import ColumnElement, and_, exists

from db.models import Feature, Tile, TileFeature


def undecided() -> ColumnElement[bool]:
    """Features that still ask for attention: predicted, not withdrawn, not decided."""
    return and_(Feature.verdict.is_(None), Feature.withdrawn.is_(False), Feature.prediction_id.is_not(None))


def counts() -> ColumnElement[bool]:
    """Tiles that are part of the work: not set aside, as those outside the project's area are."""
    return Tile.set_aside.is_(None)


def on_counted_tile() -> ColumnElement[bool]:
    """Features on at least one tile that counts."""
    return exists().where(TileFeature.feature_id == Feature.id, Tile.id == TileFeature.tile_id, counts())
