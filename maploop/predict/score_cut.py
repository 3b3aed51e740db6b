"""The score from which the predictions of the project's current model count, as it was promoted with.

A model is promoted as it was measured: with the score cut chosen for it on the validation split. What it predicts below
that is stored, for evaluation and for a later choice, and not shown for review.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from db.bulk import in_lists, update_rows
from db.conditions import undecided
from db.models import Feature, Prediction, Promotion


@dataclass(frozen=True)
class CurrentUse:
    """The model that is the current one, by id, and the score from which its predictions count; None: all of them."""

    model_id: int
    score_cut: float | None


def current_use(connection: Connection, project_id: int) -> CurrentUse | None:
    """How the current model is used, as its promotion says; None without one."""
    newest = connection.execute(
        select(Promotion.model_id, Promotion.evidence)
        .where(Promotion.project_id == project_id)
        .order_by(Promotion.id.desc())
        .limit(1)
    ).first()
    if newest is None or newest.model_id is None:
        return None
    cut = newest.evidence.get("score_cut")
    return CurrentUse(newest.model_id, None if cut is None else float(cut))


def withdraw_below(
    connection: Connection, feature_ids: Sequence[int], prediction_ids: Sequence[int], cut: float
) -> int:
    """Stop showing undecided features that show one of some predictions with a lower score -> how many.

    `prediction_ids` are those that belong to the features, in any order. Predictions without a score are shown.
    """
    low: set[int] = set()
    for some in in_lists(sorted(prediction_ids)):
        low.update(
            connection.execute(select(Prediction.id).where(Prediction.id.in_(some), Prediction.score < cut)).scalars()
        )
    below: list[int] = []
    for some in in_lists(sorted(feature_ids)):
        rows = connection.execute(
            select(Feature.id, Feature.prediction_id).where(Feature.id.in_(some), undecided())
        ).all()
        below += [row.id for row in rows if row.prediction_id in low]
    update_rows(connection, Feature, below, {"withdrawn": [True] * len(below)}, while_empty="verdict")
    return len(below)
