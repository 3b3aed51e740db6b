"""Tuning jobs"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "tuning_job",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("project_id", BigKey, nullable=False),
        sa.Column("dataset_id", sa.String(length=64), nullable=False),
        sa.Column("trainer", sa.String(length=8), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("parent_id", BigKey, nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("key_name", sa.Text(), nullable=False),
        sa.Column("hyperparameters", sa.JSON(), nullable=False),
        sa.Column("preflight", sa.JSON(), nullable=False),
        sa.Column("training_sha256", sa.String(length=64), nullable=True),
        sa.Column("validation_sha256", sa.String(length=64), nullable=True),
        sa.Column("training_file_id", sa.Text(), nullable=True),
        sa.Column("validation_file_id", sa.Text(), nullable=True),
        sa.Column("remote_id", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.String(length=9), nullable=False),
        sa.Column("remote_status", sa.Text(), nullable=False),
        sa.Column("wish", sa.String(length=6), nullable=True),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("doing", sa.Text(), nullable=False),
        sa.Column("trained_tokens", BigKey, nullable=True),
        sa.Column("cost_estimated", sa.Double(), nullable=True),
        sa.Column("cost", sa.Double(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("model_id", BigKey, nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("in_app", sa.Boolean(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", BigKey, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("trainer IN ('local', 'openai')", name=op.f("ck_tuning_job_trainer")),
        sa.CheckConstraint(
            "status IN ('preparing', 'running', 'paused', 'succeeded', 'failed', 'cancelled')",
            name=op.f("ck_tuning_job_status"),
        ),
        sa.CheckConstraint("wish IN ('pause', 'resume', 'cancel')", name=op.f("ck_tuning_job_wish")),
        sa.ForeignKeyConstraint(["created_by"], ["annotator.id"], name=op.f("fk_tuning_job_created_by_annotator")),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name=op.f("fk_tuning_job_dataset_id_dataset")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_tuning_job_model_id_model")),
        sa.ForeignKeyConstraint(["parent_id"], ["model.id"], name=op.f("fk_tuning_job_parent_id_model")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_tuning_job_project_id_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tuning_job")),
        sa.UniqueConstraint("token", name=op.f("uq_tuning_job_token")),
    )
    with op.batch_alter_table("tuning_job") as batch_op:
        batch_op.create_index(batch_op.f("ix_tuning_job_dataset_id"), ["dataset_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_tuning_job_project_id"), ["project_id"], unique=False)

    op.create_table(
        "tuning_event",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("job_id", BigKey, nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["tuning_job.id"], name=op.f("fk_tuning_event_job_id_tuning_job")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tuning_event")),
        sa.UniqueConstraint("job_id", "remote_id", name=op.f("uq_tuning_event_job_id_remote_id")),
    )
    op.create_table(
        "tuning_checkpoint",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("job_id", BigKey, nullable=False),
        sa.Column("step", BigKey, nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("model_id", BigKey, nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["tuning_job.id"], name=op.f("fk_tuning_checkpoint_job_id_tuning_job")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_tuning_checkpoint_model_id_model")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tuning_checkpoint")),
        sa.UniqueConstraint("job_id", "identifier", name=op.f("uq_tuning_checkpoint_job_id_identifier")),
    )
