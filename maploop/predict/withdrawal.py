"""Which undecided features are shown: the one place that says so when a feature is undecided again, or moves."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from db.bulk import in_lists, update_rows
from db.conditions import gone
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
