"""Accepting predictions above a score without a look, as a recorded rule that can be taken back.

Applying a rule stores a decision of verdict accept for each prediction, by the person who applies it, marked with the
rule; taking it back stores an undo for each that still stands, and opens finished tiles that thereby lack something. By
what people say of the share that stayed in the queue, drift is noticed. Tiles still need their "nothing missing".
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.orm import aliased

from db.bulk import in_lists, insert_rows, lock_project
from db.conditions import undecided
from db.models import (
    Annotator,
    Decision,
    Feature,
    Model,
    ThresholdHeld,
    ThresholdRule,
)
from db.types import utc_now
from maploop.compare.reach import (
    HELD_SHARE,
    WANTED,
    Proposal,
    Reach,
    check_held_share,
    judged_predictions,
    proposals,
    reached_by,
    reliabilities,
)
from maploop.compare.reliability import Threshold, choose_threshold
from maploop.errors import ConflictError, NotFoundError
from maploop.predict.memory import features_with_ids
from maploop.predict.models import load_model
from maploop.predict.placing import places_of
from maploop.predict.uncertainty import refresh_uncertainty
from maploop.project import ProjectView
from maploop.quality.statistics import Metric, proportion
from maploop.review.bulk import move_features, new_ids, record_decisions
from maploop.review.reopen import finished_among, reopen_tiles

__all__ = [
    "HELD_SHARE",
    "WANTED",
    "Drift",
    "Proposal",
    "Reach",
    "RuleView",
    "apply_rule",
    "judged_predictions",
    "list_rules",
    "load_rule",
    "proposals",
    "reliabilities",
    "withdraw_rule",
]


@dataclass(frozen=True)
class Drift:
    """What people said of the share that stayed in the queue. `drifted`: surely less precise than was wanted."""

    looked_at: Metric
    waiting: int
    drifted: bool
    text: str


@dataclass(frozen=True)
class RuleView:
    """A rule that was applied. `accepted`: decisions it made, of which `standing` still stand."""

    id: int
    model: str
    class_name: str
    score: float
    wanted: float
    lower: float
    held_share: float
    accepted: int
    held: int
    standing: int
    applied_by: str
    applied_at: datetime
    withdrawn_by: str | None
    withdrawn_at: datetime | None
    evidence: dict[str, Any]
    drift: Drift


def apply_rule(
    connection: Connection,
    project: ProjectView,
    annotator_id: int,
    model_name: str,
    class_name: str,
    wanted: float = WANTED,
    *,
    held_share: float = HELD_SHARE,
) -> RuleView:
    """Accept what is above the score that `proposals` gives now; needs a write transaction.

    Raises InputError, NotFoundError, ConflictError when no score reaches the wanted precision or nothing is above it.
    """
    check_held_share(held_share)
    lock_project(connection, project.id)
    of = project.class_named(class_name)
    model = load_model(connection, project, model_name)
    judged = judged_predictions(connection, project, model.name).of_class(project.classes.index(of))
    threshold = choose_threshold(judged, of.name, wanted, classes=len(project.classes))
    if threshold.score is None or threshold.lower is None:
        msg = (
            f"No score of {model.name!r} is sure to be {100 * wanted:g} % right for {of.name}, "
            f"by {len(judged):,} verdicts{_in_blocks(threshold)}: review more of its predictions, or ask for less."
        )
        raise ConflictError(msg)
    reached = reached_by(connection, project, model.name, of, threshold.score, held_share)
    if not reached.accepted:
        left = ", ".join(f"{count:,} {reason}" for reason, count in reached.left.items())
        msg = f"No {of.name} from score {threshold.score:g} on may be accepted unseen now ({left or 'none is left'})."
        raise ConflictError(msg)
    rule_id = connection.execute(
        insert(ThresholdRule)
        .values(
            project_id=project.id,
            model_id=model.id,
            class_id=of.id,
            annotator_id=annotator_id,
            score=threshold.score,
            wanted=wanted,
            lower=threshold.lower,
            held_share=held_share,
            accepted=len(reached.accepted),
            evidence=_evidence(threshold, dict(reached.left)),
        )
        .returning(ThresholdRule.id)
    ).scalar_one()
    held = {"rule_id": [rule_id] * len(reached.held), "feature_id": reached.held}
    insert_rows(connection, ThresholdHeld, held)
    accepted = _accept(connection, project, annotator_id, rule_id, reached.accepted)
    if accepted < len(reached.accepted):  # somebody was faster
        connection.execute(update(ThresholdRule).where(ThresholdRule.id == rule_id).values(accepted=accepted))
    return load_rule(connection, project, rule_id)


def _in_blocks(threshold: Threshold) -> str:
    """Where too few blocks were reviewed for any score to be proposed, that this is the reason."""
    return f" ({threshold.reason})" if threshold.reason else ""


def withdraw_rule(connection: Connection, project: ProjectView, annotator_id: int, rule_id: int) -> int:
    """Take a rule back -> how many decisions were undone; needs a write transaction.

    What people have decided anew since stays. Finished tiles that thereby have something undecided are open again.
    Raises NotFoundError, ConflictError when it was taken back before.
    """
    lock_project(connection, project.id)
    rule = load_rule(connection, project, rule_id)
    if rule.withdrawn_at is not None:
        msg = f"Rule {rule_id} was taken back before, by {rule.withdrawn_by}."
        raise ConflictError(msg)
    connection.execute(
        update(ThresholdRule)
        .where(ThresholdRule.id == rule_id)
        .values(withdrawn_by=annotator_id, withdrawn_at=utc_now())
    )
    rows = connection.execute(
        select(Feature.id, Decision.tile_id)
        .join(Decision, Decision.id == Feature.decision_id)
        .where(Decision.rule_id == rule_id, Decision.verdict == "accept")
        .order_by(Feature.id)
        .with_for_update(of=Feature.__table__)
    ).all()
    standing = dict(rows)
    before = features_with_ids(connection, list(standing))
    outlines = shapely.to_wkb(before.geometries)
    count = len(before)
    record_decisions(
        connection,
        project.id,
        annotator_id,
        new_ids(count),
        before.ids,
        np.array([standing[each] for each in before.ids.tolist()], dtype=np.int64),
        ["undo"] * count,
        before.class_ids,
        outlines,
        before,
        rule_id=rule_id,
        undoes=before.decision_ids.tolist(),
    )
    move_features(connection, before.ids, [None] * count, before.class_ids, outlines, [None] * count)
    tiles = sorted(places_of(connection, before.ids.tolist()))
    comment = "A rule that had accepted features here was taken back: look again, and finish the tile anew."
    reopen_tiles(connection, finished_among(connection, tiles), annotator_id, comment)
    refresh_uncertainty(connection, project.id, tiles)
    return count


def list_rules(connection: Connection, project: ProjectView) -> list[RuleView]:
    """All rules of a project, newest first."""
    return _rules(connection, project)


def load_rule(connection: Connection, project: ProjectView, rule_id: int) -> RuleView:
    """One rule. Raises NotFoundError."""
    found = _rules(connection, project, rule_id)
    if not found:
        msg = f"There is no rule {rule_id} in {project.name!r}: maploop threshold list shows them."
        raise NotFoundError(msg)
    return found[0]


def _accept(
    connection: Connection, project: ProjectView, annotator_id: int, rule_id: int, decided_on: dict[int, int]
) -> int:
    """Decide all of them that are undecided still -> how many.

    Who decides one at the same moment waits, and finds this decision standing.
    """
    ids = list(decided_on)
    for some in in_lists(ids):
        connection.execute(select(Feature.id).where(Feature.id.in_(some)).order_by(Feature.id).with_for_update())
    known = features_with_ids(connection, ids)
    before = known.only(np.array([each is None for each in known.verdicts], dtype=np.bool_))
    count = len(before)
    decisions, verdicts = new_ids(count), ["accept"] * count
    outlines = shapely.to_wkb(before.geometries)
    on = np.array([decided_on[each] for each in before.ids.tolist()], dtype=np.int64)
    record_decisions(
        connection,
        project.id,
        annotator_id,
        decisions,
        before.ids,
        on,
        verdicts,
        before.class_ids,
        outlines,
        before,
        rule_id=rule_id,
    )
    move_features(connection, before.ids, verdicts, before.class_ids, outlines, decisions)
    refresh_uncertainty(connection, project.id, sorted(places_of(connection, before.ids.tolist())))
    return count


def _evidence(threshold: Threshold, left: dict[str, int]) -> dict[str, Any]:
    """How the score was found, as JSON."""
    return {
        "method": threshold.method,
        "confidence": threshold.confidence,
        "design_effect": threshold.effect,
        "precision": asdict(threshold.precision),
        "looks": [{"score": each.score, "lower": each.lower, "n": each.precision.scored} for each in threshold.looks],
        "left": left,
    }


def _rules(connection: Connection, project: ProjectView, rule_id: int | None = None) -> list[RuleView]:
    applied, withdrawn = aliased(Annotator), aliased(Annotator)
    query = (
        select(
            ThresholdRule.__table__,
            Model.name.label("model"),
            applied.name.label("applied_by"),
            withdrawn.name.label("withdrawn_name"),
        )
        .join(Model, Model.id == ThresholdRule.model_id)
        .join(applied, applied.id == ThresholdRule.annotator_id)
        .outerjoin(withdrawn, withdrawn.id == ThresholdRule.withdrawn_by)
        .where(ThresholdRule.project_id == project.id)
        .order_by(ThresholdRule.id.desc())
    )
    rows = connection.execute(query if rule_id is None else query.where(ThresholdRule.id == rule_id)).all()
    return [_view(connection, project, row) for row in rows]


def _view(connection: Connection, project: ProjectView, row: Row[Any]) -> RuleView:
    standing = connection.execute(
        select(func.count())
        .select_from(Feature)
        .join(Decision, Decision.id == Feature.decision_id)
        .where(Decision.rule_id == row.id, Decision.verdict == "accept")
    ).scalar_one()
    drift, held = _drift(connection, row)
    return RuleView(
        id=row.id,
        model=row.model,
        class_name=project.class_with_id(row.class_id).name,
        score=row.score,
        wanted=row.wanted,
        lower=row.lower,
        held_share=row.held_share,
        accepted=row.accepted,
        held=held,
        standing=standing,
        applied_by=row.applied_by,
        applied_at=row.applied_at,
        withdrawn_by=row.withdrawn_name,
        withdrawn_at=row.withdrawn_at,
        evidence=row.evidence,
        drift=drift,
    )


def _drift(connection: Connection, rule: Row[Any]) -> tuple[Drift, int]:
    """What people said of the held ones, and how many these are."""
    here = select(ThresholdHeld.feature_id).where(ThresholdHeld.rule_id == rule.id)
    held = connection.execute(select(func.count()).select_from(here.subquery())).scalar_one()
    verdicts = dict(
        connection.execute(
            select(Decision.verdict, func.count())
            .select_from(Feature)
            .join(Decision, Decision.id == Feature.decision_id)
            .where(
                Feature.id.in_(here),
                Decision.rule_id.is_(None),
                Decision.verdict.in_(("accept", "correct", "reject")),
            )
            .group_by(Decision.verdict)
        ).all()
    )
    waiting = connection.execute(
        select(func.count()).select_from(Feature).where(Feature.id.in_(here), undecided())
    ).scalar_one()
    seen = sum(verdicts.values())
    right = proportion(verdicts.get("accept", 0), seen, held)
    drifted = right.high is not None and right.high < rule.wanted
    return Drift(right, waiting, drifted, _told(right, rule.wanted, drifted)), held


def _told(right: Metric, wanted: float, drifted: bool) -> str:
    if right.value is None:
        return "Nobody has looked at the share that was kept back yet."
    text = f"Of what was kept back and looked at, {right.text()} was right; {100 * wanted:g} % was wanted."
    if drifted:
        return f"{text} The rule does not hold any more: take it back."
    return f"{text} That is below, though it may be chance." if right.value < wanted else text
