"""Accepting predictions above a score without a look, as a recorded rule that can be taken back.

Applying a rule stores a decision of verdict accept for each prediction, by the person who applies it, marked with the
rule; taking it back stores an undo for each that still stands. Tiles of the test split, tiles that somebody holds and
tiles that somebody has finished are left alone, and a random share stays in the queue to be looked at: by what people
say of it, drift is noticed. Tiles still need their "nothing missing".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from maploop.compare.reliability import Judged, Reliability, Threshold
from maploop.project import ProjectView
from maploop.quality.statistics import Metric

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
    lower: float | None
    held_share: float
    accepted: int
    held: int
    standing: int
    applied_by: str
    applied_at: datetime
    withdrawn_by: str | None
    withdrawn_at: datetime | None
    drift: Drift


def judged_predictions(connection: Connection, project: ProjectView, model_name: str) -> Judged:
    """Predictions of a model with a score and a verdict that a person gave; unsure ones and rules' are left aside.

    Raises NotFoundError.
    """
    raise NotImplementedError


def reliabilities(connection: Connection, project: ProjectView, model_name: str) -> Mapping[str | None, Reliability]:
    """The reliability of a model's scores, by class and for all. Raises NotFoundError."""
    raise NotImplementedError


def proposals(
    connection: Connection,
    project: ProjectView,
    model_name: str,
    wanted: float = 0.98,
    *,
    held_share: float = HELD_SHARE,
) -> list[Proposal]:
    """For each class the score above which nobody need look, and what that would save. Raises InputError."""
    raise NotImplementedError


def apply_rule(
    connection: Connection,
    project: ProjectView,
    annotator_id: int,
    model_name: str,
    class_name: str,
    wanted: float = 0.98,
    *,
    held_share: float = HELD_SHARE,
) -> RuleView:
    """Accept what is above the score that `proposals` gives now; needs a write transaction.

    Raises InputError, ConflictError when no score reaches the wanted precision, or when nothing is above it.
    """
    raise NotImplementedError


def withdraw_rule(connection: Connection, project: ProjectView, annotator_id: int, rule_id: int) -> int:
    """Take a rule back -> how many decisions were undone; needs a write transaction.

    What people have decided anew since stays. Raises NotFoundError, ConflictError when it was taken back before.
    """
    raise NotImplementedError


def list_rules(connection: Connection, project: ProjectView) -> list[RuleView]:
    """All rules of a project, newest first."""
    raise NotImplementedError
