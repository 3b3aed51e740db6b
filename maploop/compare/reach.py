"""From which score on need nobody look? What people's verdicts say, and what a rule with that score would do.

A rule leaves tiles of the test split alone, tiles that somebody holds, and tiles that somebody has finished; a random
share of what is above the score stays in the queue, to be looked at. Applying and taking back: `thresholds`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
from sqlalchemy import Connection, select

from db.conditions import undecided
from db.models import Claim, Decision, Feature, Prediction, Run, Tile, TileFeature
from db.types import utc_now
from maploop.compare.reliability import Judged, Reliability, Threshold, choose_threshold, reliability_of
from maploop.compare.spending import measured_speeds
from maploop.dataset.blocks import blocks_of
from maploop.dataset.split import unit_hash
from maploop.errors import InputError
from maploop.imagery.tilemath import Tile as TileAddress
from maploop.predict.models import load_model
from maploop.project import ClassView, ProjectView

WANTED = 0.98
HELD_SHARE = 0.05


@dataclass(frozen=True)
class Reach:
    """What a rule would do now.

    accepted    predictions that it would accept
    held        those that would stay in the queue, to be looked at
    left        those above the score that it may not touch, by reason: test, claimed, finished
    """

    accepted: int
    held: int
    left: Mapping[str, int]
    seconds_saved: float


@dataclass(frozen=True)
class Proposal:
    """For one class: the score found, and what a rule with it would do; `reach` None when no score will do."""

    class_name: str
    threshold: Threshold
    reach: Reach | None


def judged_predictions(connection: Connection, project: ProjectView, model_name: str) -> Judged:
    """Predictions of a model with a score and a verdict that a person gave; unsure ones and rules' are left aside.

    So are those on tiles of the test split, which is no ground to choose on. Raises NotFoundError.
    """
    model = load_model(connection, project, model_name)
    rows = connection.execute(
        select(Prediction.score, Decision.verdict, Prediction.class_id, Decision.tile_id, Tile.x, Tile.y)
        .select_from(Feature)
        .join(Decision, Decision.id == Feature.decision_id)
        .join(Prediction, Prediction.id == Decision.prediction_id)
        .join(Run, Run.id == Prediction.run_id)
        .join(Tile, Tile.id == Decision.tile_id)
        .where(
            Feature.project_id == project.id,
            Run.model_id == model.id,
            Decision.rule_id.is_(None),
            Decision.verdict.in_(("accept", "correct", "reject")),
            Decision.seconds > 0,  # made one by one, by somebody who looked
            Prediction.score.is_not(None),
            Tile.split != "test",
        )
        .order_by(Feature.id)
    ).all()
    index_of = {each.id: index for index, each in enumerate(project.classes)}
    return Judged(
        scores=np.array([row.score for row in rows], dtype=np.float64),
        right=np.array([row.verdict == "accept" for row in rows], dtype=np.bool_),
        class_index=np.array([index_of[row.class_id] for row in rows], dtype=np.int64),
        tile=np.array([row.tile_id for row in rows], dtype=np.int64),
        block=blocks_of(connection, project, [TileAddress(project.zoom, row.x, row.y) for row in rows]),
    )


def reliabilities(connection: Connection, project: ProjectView, model_name: str) -> Mapping[str | None, Reliability]:
    """The reliability of a model's scores, by class and for all. Raises NotFoundError."""
    judged = judged_predictions(connection, project, model_name)
    return reliability_of(judged, [each.name for each in project.classes])


def proposals(
    connection: Connection,
    project: ProjectView,
    model_name: str,
    wanted: float = WANTED,
    *,
    held_share: float = HELD_SHARE,
) -> list[Proposal]:
    """For each class the score above which nobody need look, and what that would save. Raises InputError."""
    check_held_share(held_share)
    judged = judged_predictions(connection, project, model_name)
    speed = measured_speeds(connection, project).accept.value or 0.0
    found = []
    for index, each in enumerate(project.classes):
        threshold = choose_threshold(judged.of_class(index), each.name, wanted, classes=len(project.classes))
        reach = None
        if threshold.score is not None:
            reached = reached_by(connection, project, model_name, each, threshold.score, held_share)
            reach = Reach(len(reached.accepted), len(reached.held), reached.left, len(reached.accepted) * speed)
        found.append(Proposal(each.name, threshold, reach))
    return found


@dataclass(frozen=True)
class Reached:
    """Ids of features that a rule would accept, each with the tile it is decided on, and of those it would hold."""

    accepted: dict[int, int]
    held: list[int]
    left: Mapping[str, int]


def reached_by(
    connection: Connection, project: ProjectView, model_name: str, of: ClassView, score: float, held_share: float
) -> Reached:
    """Undecided predictions of a model and class with at least the score, by what a rule may do with them.

    Those held are drawn once for ever by the project's seed, at least one.
    """
    model = load_model(connection, project, model_name)
    now = utc_now()
    rows = connection.execute(
        select(Feature.id, TileFeature.tile_id, Tile.split, Tile.status, Claim.expires_at)
        .join(Prediction, Prediction.id == Feature.prediction_id)
        .join(Run, Run.id == Prediction.run_id)
        .join(TileFeature, TileFeature.feature_id == Feature.id)
        .join(Tile, Tile.id == TileFeature.tile_id)
        .outerjoin(Claim, Claim.tile_id == Tile.id)
        .where(
            Feature.project_id == project.id,
            undecided(),
            Feature.class_id == of.id,
            Run.model_id == model.id,
            Prediction.score >= score,
        )
        .order_by(Feature.id, TileFeature.tile_id)
    )
    decided_on: dict[int, int] = {}
    barred: dict[int, str] = {}
    for feature, tile, split, status, expires_at in rows:
        decided_on.setdefault(feature, tile)
        reason = _reason(split, status, expires_at is not None and expires_at > now)
        if reason is not None:
            barred.setdefault(feature, reason)
    free = sorted(decided_on.keys() - barred.keys(), key=lambda feature: unit_hash(project.seed, f"held {feature}"))
    held = free[: ceil(held_share * len(free))]
    return Reached(
        accepted={feature: decided_on[feature] for feature in sorted(free[len(held) :])},
        held=sorted(held),
        left=dict(sorted(Counter(barred.values()).items())),
    )


def _reason(split: str, status: str, claimed: bool) -> str | None:
    """Why a rule must not decide on a tile."""
    if split == "test":
        return "test"
    if status != "open":
        return "finished"
    return "claimed" if claimed else None


def check_held_share(share: float) -> None:
    """Raises InputError."""
    if not 0 < share <= 0.5:
        msg = f"{share:g} is not a share to look at: use a number above 0, at most 0.5, for example {HELD_SHARE:g}."
        raise InputError(msg)
