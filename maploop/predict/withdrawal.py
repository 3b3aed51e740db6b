"""Withdrawal: undecided features that are not to be shown for review, as `db.conditions.gone` says."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, select

from db.bulk import in_lists, update_rows
from db.conditions import gone, undecided
from db.models import Feature


def settle_withdrawn(connection: Connection, feature_ids: Collection[int]) -> set[int]:
    """Withdraw those of some undecided features that are `gone`, show the others -> ids of the withdrawn ones.

    To be called once their tiles are listed. Features that are decided, or that nobody predicted, stay as they are.
    """
    withdrawn: set[int] = set()
    changed: dict[int, bool] = {}
    for some in in_lists(sorted(feature_ids)):
        rows = connection.execute(
            select(Feature.id, Feature.withdrawn, gone().label("is_gone")).where(
                Feature.id.in_(some), Feature.verdict.is_(None), Feature.prediction_id.is_not(None)
            )
        )
        for row in rows:
            if row.is_gone:
                withdrawn.add(row.id)
            if bool(row.is_gone) != row.withdrawn:
                changed[row.id] = bool(row.is_gone)
    update_rows(connection, Feature, list(changed), {"withdrawn": list(changed.values())}, while_empty="verdict")
    return withdrawn


def withdraw(connection: Connection, feature_ids: Collection[int], condition: ColumnElement[bool]) -> list[int]:
    """Stop showing those of some features that nobody has decided and that meet a condition -> their ids."""
    met: list[int] = []
    for some in in_lists(sorted(feature_ids)):
        met += connection.execute(select(Feature.id).where(Feature.id.in_(some), undecided(), condition)).scalars()
    update_rows(connection, Feature, met, {"withdrawn": [True] * len(met)}, while_empty="verdict")
    return met
