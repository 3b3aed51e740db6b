"""What people said: decisions about features, acts on tiles, spot checks."""

from datetime import datetime
from typing import Any

from shapely.geometry.base import BaseGeometry
from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import VERDICTS, Base, one_of
from db.types import stored_now, utc_now

REASONS = ("not_there", "duplicate", "wrong_class", "bad_imagery")
TILE_ACTS = ("complete", "reopen", "return", "approve")


class Decision(Base):
    """What a person said about one feature. `id` is made in the browser, so that storing twice stores once.

    `verdict` undo takes back `undoes`. `previous_id` is the decision that stood before, to which an undo returns.
    A decision with an `audit_id` is a reviewer's blind second opinion and does not move the feature. One with a
    `rule_id` was made in bulk, unseen, by the person who applied that rule, or takes such a one back; one with an
    `import_id` came from a file of known truth, or takes such a one back.
    """

    __tablename__ = "decision"
    __table_args__ = (
        one_of("verdict", (*VERDICTS, "undo"), "verdict"),
        one_of("reason", REASONS, "reason"),
        CheckConstraint("(verdict = 'undo') = (undoes IS NOT NULL)", name="undoes"),
        Index("ix_decision_speed", "project_id", "annotator_id", "stored_at", "seconds"),
        Index(
            "ix_decision_rule_id",
            "rule_id",
            sqlite_where=text("rule_id IS NOT NULL"),
            postgresql_where=text("rule_id IS NOT NULL"),
        ),
        Index(
            "ix_decision_import_id",
            "import_id",
            sqlite_where=text("import_id IS NOT NULL"),
            postgresql_where=text("import_id IS NOT NULL"),
        ),
    )

    seq: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(36), unique=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id"), index=True)
    feature_id: Mapped[int] = mapped_column(ForeignKey("feature.id"), index=True)
    prediction_id: Mapped[int | None] = mapped_column(ForeignKey("prediction.id"))
    model_id: Mapped[int | None] = mapped_column(ForeignKey("model.id"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    audit_id: Mapped[int | None] = mapped_column(ForeignKey("audit.id"), index=True)
    rule_id: Mapped[int | None] = mapped_column(ForeignKey("threshold_rule.id"))
    import_id: Mapped[int | None] = mapped_column(ForeignKey("import.id"))
    verdict: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str | None] = mapped_column(String(12))
    class_before_id: Mapped[int | None] = mapped_column(ForeignKey("class.id"))
    class_id: Mapped[int] = mapped_column(ForeignKey("class.id"))
    geometry_before: Mapped[BaseGeometry | None]
    geometry: Mapped[BaseGeometry]
    seconds: Mapped[float]
    undoes: Mapped[str | None] = mapped_column(String(36))
    previous_id: Mapped[str | None] = mapped_column(String(36))
    made_at: Mapped[datetime]
    stored_at: Mapped[datetime] = mapped_column(default=stored_now)


class TileEvent(Base):
    """What a person said about a whole tile: complete ("nothing missing"), reopen, return, approve.

    `import_id`: said by importing known truth, or by taking such an import back.
    `after_decision`: the last decision stored before it, by `seq`, which orders the two whatever the clock said.
    """

    __tablename__ = "tile_event"
    __table_args__ = (
        one_of("act", TILE_ACTS, "act"),
        Index("ix_tile_event_speed", "annotator_id", "stored_at"),
        Index(
            "ix_tile_event_import_id",
            "import_id",
            sqlite_where=text("import_id IS NOT NULL"),
            postgresql_where=text("import_id IS NOT NULL"),
        ),
    )

    seq: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(36), unique=True)
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id"), index=True)
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    audit_id: Mapped[int | None] = mapped_column(ForeignKey("audit.id"))
    act: Mapped[str] = mapped_column(String(8))
    comment: Mapped[str] = mapped_column(default="")
    seconds: Mapped[float] = mapped_column(default=0.0)
    drawn_by: Mapped[str] = mapped_column(String(12), default="address")
    import_id: Mapped[int | None] = mapped_column(ForeignKey("import.id"))
    stored_at: Mapped[datetime] = mapped_column(default=stored_now)
    after_decision: Mapped[int | None] = mapped_column(default=select(func.max(Decision.seq)).scalar_subquery())


class AuditSample(Base):
    """A random sample of finished tiles, drawn by a reviewer for a spot check; `criteria`: how.

    `after_event`: the last act on a tile stored before it was drawn, by `seq`; empty before Maploop noted that.
    """

    __tablename__ = "audit_sample"

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    reviewer_id: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    criteria: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    closed_at: Mapped[datetime | None]
    after_event: Mapped[int | None] = mapped_column(
        default=select(func.coalesce(func.max(TileEvent.seq), 0)).scalar_subquery()
    )


class Audit(Base):
    """A second, blind look at one tile of a sample by somebody other than `annotator_id`, who finished it.

    `after_decision`, `after_event`: the last decision and act on a tile stored before it was finished, by `seq`.
    """

    __tablename__ = "audit"
    __table_args__ = (UniqueConstraint("sample_id", "tile_id"), one_of("outcome", ("approve", "return"), "outcome"))

    id: Mapped[int] = mapped_column(primary_key=True)
    sample_id: Mapped[int] = mapped_column(ForeignKey("audit_sample.id"))
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id"), index=True)
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    stratum: Mapped[str] = mapped_column(default="")
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(8))
    after_decision: Mapped[int | None]
    after_event: Mapped[int | None]
