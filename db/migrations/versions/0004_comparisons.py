"""Evaluations, promotions, and rules that accept predictions unseen"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db import guards

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = ("evaluation", "promotion")


def upgrade() -> None:
    op.create_table(
        "evaluation",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("project_id", BigKey, nullable=False),
        sa.Column("model_id", BigKey, nullable=False),
        sa.Column("annotator_id", BigKey, nullable=False),
        sa.Column("split", sa.String(length=10), nullable=False),
        sa.Column("purpose", sa.String(length=6), nullable=False),
        sa.Column("basis", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("purpose IN ('look', 'choose')", name=op.f("ck_evaluation_purpose")),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotator.id"], name=op.f("fk_evaluation_annotator_id_annotator")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_evaluation_model_id_model")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_evaluation_project_id_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluation")),
    )
    op.create_index(op.f("ix_evaluation_model_id"), "evaluation", ["model_id"], unique=False)
    op.create_index(op.f("ix_evaluation_project_id"), "evaluation", ["project_id"], unique=False)

    op.create_table(
        "promotion",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("project_id", BigKey, nullable=False),
        sa.Column("act", sa.String(length=8), nullable=False),
        sa.Column("model_id", BigKey, nullable=True),
        sa.Column("previous_id", BigKey, nullable=True),
        sa.Column("annotator_id", BigKey, nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("act IN ('promote', 'overrule', 'return')", name=op.f("ck_promotion_act")),
        sa.CheckConstraint("act <> 'overrule' OR reason <> ''", name=op.f("ck_promotion_reason")),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotator.id"], name=op.f("fk_promotion_annotator_id_annotator")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_promotion_model_id_model")),
        sa.ForeignKeyConstraint(["previous_id"], ["model.id"], name=op.f("fk_promotion_previous_id_model")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_promotion_project_id_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotion")),
    )
    op.create_index(op.f("ix_promotion_project_id"), "promotion", ["project_id"], unique=False)

    op.create_table(
        "threshold_rule",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("project_id", BigKey, nullable=False),
        sa.Column("model_id", BigKey, nullable=False),
        sa.Column("class_id", BigKey, nullable=False),
        sa.Column("annotator_id", BigKey, nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("wanted", sa.Double(), nullable=False),
        sa.Column("lower", sa.Double(), nullable=False),
        sa.Column("held_share", sa.Double(), nullable=False),
        sa.Column("accepted", BigKey, nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_by", BigKey, nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotator.id"], name=op.f("fk_threshold_rule_annotator_id_annotator")
        ),
        sa.ForeignKeyConstraint(["class_id"], ["class.id"], name=op.f("fk_threshold_rule_class_id_class")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_threshold_rule_model_id_model")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_threshold_rule_project_id_project")),
        sa.ForeignKeyConstraint(
            ["withdrawn_by"], ["annotator.id"], name=op.f("fk_threshold_rule_withdrawn_by_annotator")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_threshold_rule")),
    )
    op.create_index(op.f("ix_threshold_rule_project_id"), "threshold_rule", ["project_id"], unique=False)

    op.create_table(
        "threshold_held",
        sa.Column("rule_id", BigKey, nullable=False),
        sa.Column("feature_id", BigKey, nullable=False),
        sa.ForeignKeyConstraint(["feature_id"], ["feature.id"], name=op.f("fk_threshold_held_feature_id_feature")),
        sa.ForeignKeyConstraint(
            ["rule_id"], ["threshold_rule.id"], name=op.f("fk_threshold_held_rule_id_threshold_rule")
        ),
        sa.PrimaryKeyConstraint("rule_id", "feature_id", name=op.f("pk_threshold_held")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_threshold_held_feature_id"), "threshold_held", ["feature_id"], unique=False)

    connection = op.get_bind()
    # By hand: alembic would copy the table on SQLite for the sake of the reference, and leave its triggers behind.
    kind = "INTEGER" if connection.dialect.name == "sqlite" else "BIGINT"
    connection.exec_driver_sql(
        f"ALTER TABLE decision ADD COLUMN rule_id {kind} "
        "CONSTRAINT fk_decision_rule_id_threshold_rule REFERENCES threshold_rule (id)"
    )
    given = sa.text("rule_id IS NOT NULL")
    op.create_index("ix_decision_rule_id", "decision", ["rule_id"], sqlite_where=given, postgresql_where=given)

    guards.make_append_only(connection, APPEND_ONLY)
