"""Conditions that several queries share."""

from sqlalchemy import ColumnElement, and_

from db.models import Feature


def undecided() -> ColumnElement[bool]:
    """Features that still ask for attention: predicted, not withdrawn, not decided."""
    return and_(Feature.verdict.is_(None), Feature.withdrawn.is_(False), Feature.prediction_id.is_not(None))
