"""What was measured and chosen: evaluations, who is the current model, and rules that accept predictions unseen."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, one_of
from db.types import utc_now

PURPOSES = ("look", "choose")
PROMOTION_ACTS = ("promote", "overrule", "return")


class Evaluation(Base):
    """A model held against the annotations of a split; append-only. `split` is empty where the tiles were chosen.

    basis       runs, prompt hashes and what else the figures rest on
    result      the figures, as `maploop evaluate --json` prints them
    purpose     to look, or to choose a model: what a test split wears out by
    """

    __tablename__ = "evaluation"
    __table_args__ = (one_of("purpose", PURPOSES, "purpose"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"), index=True)
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    split: Mapped[str] = mapped_column(String(10))
    purpose: Mapped[str] = mapped_column(String(6))
    basis: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any]]
    made_at: Mapped[datetime] = mapped_column(default=utc_now)


class Promotion(Base):
    """A change of the project's current model; append-only, and the newest says which one it is (empty: none).

    `passed`: whether the gate let it through. One that it held back is promoted for a written `reason` only.
    """

    __tablename__ = "promotion"
    __table_args__ = (
        one_of("act", PROMOTION_ACTS, "act"),
        CheckConstraint("act <> 'overrule' OR reason <> ''", name="reason"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    act: Mapped[str] = mapped_column(String(8))
    model_id: Mapped[int | None] = mapped_column(ForeignKey("model.id"))
    previous_id: Mapped[int | None] = mapped_column(ForeignKey("model.id"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    passed: Mapped[bool]
    reason: Mapped[str] = mapped_column(default="")
    evidence: Mapped[dict[str, Any]]
    made_at: Mapped[datetime] = mapped_column(default=utc_now)


class ThresholdRule(Base):
    """A score from which predictions of a model and class were accepted without a look, and when it was taken back.

    `lower`: the lower bound of the precision at that score when it was chosen; `evidence`: how it was found.
    """

    __tablename__ = "threshold_rule"

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    class_id: Mapped[int] = mapped_column(ForeignKey("class.id"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    score: Mapped[float]
    wanted: Mapped[float]
    lower: Mapped[float]
    held_share: Mapped[float]
    accepted: Mapped[int]
    evidence: Mapped[dict[str, Any]]
    applied_at: Mapped[datetime] = mapped_column(default=utc_now)
    withdrawn_by: Mapped[int | None] = mapped_column(ForeignKey("annotator.id"))
    withdrawn_at: Mapped[datetime | None]


class ThresholdHeld(Base):
    """A prediction above a rule's score that stayed in the queue, to be looked at: what drift is noticed by."""

    __tablename__ = "threshold_held"
    __table_args__ = ({"sqlite_with_rowid": False},)

    rule_id: Mapped[int] = mapped_column(ForeignKey("threshold_rule.id"), primary_key=True)
    feature_id: Mapped[int] = mapped_column(ForeignKey("feature.id"), primary_key=True, index=True)
