"""The score from which the predictions of the project's current model count, as it was promoted with.

A model is promoted as it was measured: with the score cut chosen for it on the validation split. Each run that it
begins keeps that cut; what it predicts below is stored, for evaluation and for a later choice, and not shown.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from db.models import Promotion


@dataclass(frozen=True)
class CurrentUse:
    """The model that is the current one, by id, and the score from which its predictions count; None: all of them."""

    model_id: int
    score_cut: float | None


def current_use(connection: Connection, project_id: int) -> CurrentUse | None:
    """Look up the current model and its score cut; None without one."""
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


def score_cut_of(connection: Connection, project_id: int, model_id: int) -> float | None:
    """Return the score from which a new run of a model counts: the current model's; None for any other."""
    use = current_use(connection, project_id)
    return use.score_cut if use is not None and use.model_id == model_id else None
