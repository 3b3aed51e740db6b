"""The first schema"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db import guards

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = ("prediction", "decision", "tile_event")


def upgrade() -> None:  # noqa: PLR0915  one table after another
    op.create_table(
        "annotator",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_annotator")),
        sa.UniqueConstraint("name", name=op.f("uq_annotator_name")),
    )
    op.create_table(
        "project",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("zoom", BigKey, nullable=False),
        sa.Column("tile_size", BigKey, nullable=False),
        sa.Column("seed", sa.Text(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("name", name=op.f("uq_project_name")),
    )
    op.create_table(
        "audit_sample",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("project_id", BigKey, nullable=False),
        sa.Column("reviewer_id", BigKey, nullable=False),
        sa.Column("criteria", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_audit_sample_project_id_project")),
        sa.ForeignKeyConstraint(["reviewer_id"], ["annotator.id"], name=op.f("fk_audit_sample_reviewer_id_annotator")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_sample")),
    )
    with op.batch_alter_table("audit_sample") as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_sample_project_id"), ["project_id"], unique=False)

    op.create_table(
        "class",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("project_id", BigKey, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("geometry_type", sa.String(length=8), nullable=False),
        sa.Column("colour", sa.String(length=7), nullable=False),
        sa.Column("digit", BigKey, nullable=True),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.CheckConstraint("geometry_type IN ('polygon', 'line', 'point')", name=op.f("ck_class_geometry_type")),
        sa.CheckConstraint("digit BETWEEN 1 AND 9", name=op.f("ck_class_digit")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_class_project_id_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_class")),
        sa.UniqueConstraint("project_id", "digit", name=op.f("uq_class_project_id_digit")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_class_project_id_name")),
    )
    op.create_table(
        "dataset",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", BigKey, nullable=False),
        sa.Column("created_by", BigKey, nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["annotator.id"], name=op.f("fk_dataset_created_by_annotator")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_dataset_project_id_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset")),
    )
    with op.batch_alter_table("dataset") as batch_op:
        batch_op.create_index(batch_op.f("ix_dataset_project_id"), ["project_id"], unique=False)

    op.create_table(
        "imagery",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("project_id", BigKey, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("info", sa.JSON(), nullable=False),
        sa.Column("attribution", sa.Text(), nullable=False),
        sa.Column("licence", sa.Text(), nullable=False),
        sa.Column("may_train", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('geotiff', 'tile_folder', 'xyz', 'wms')", name=op.f("ck_imagery_kind")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_imagery_project_id_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imagery")),
        sa.UniqueConstraint("project_id", "location", name=op.f("uq_imagery_project_id_location")),
    )
    op.create_table(
        "feature",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("project_id", BigKey, nullable=False),
        sa.Column("class_id", BigKey, nullable=False),
        sa.Column("geometry", sa.LargeBinary(), nullable=False),
        sa.Column("prediction_id", BigKey, nullable=True),
        sa.Column("verdict", sa.String(length=8), nullable=True),
        sa.Column("decision_id", sa.String(length=36), nullable=True),
        sa.Column("added_as", sa.String(length=36), nullable=True),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "verdict IN ('accept', 'correct', 'reject', 'add', 'unsure')", name=op.f("ck_feature_verdict")
        ),
        sa.ForeignKeyConstraint(["class_id"], ["class.id"], name=op.f("fk_feature_class_id_class")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_feature_project_id_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feature")),
        sa.UniqueConstraint("added_as", name=op.f("uq_feature_added_as")),
    )
    with op.batch_alter_table("feature") as batch_op:
        batch_op.create_index(batch_op.f("ix_feature_prediction_id"), ["prediction_id"], unique=False)
        batch_op.create_index(
            "ix_feature_project_verdict", ["project_id", "verdict", "class_id", "withdrawn"], unique=False
        )

    op.create_table(
        "model",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("project_id", BigKey, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("backend", sa.String(length=16), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("parent_id", BigKey, nullable=True),
        sa.Column("dataset_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name=op.f("fk_model_dataset_id_dataset")),
        sa.ForeignKeyConstraint(["parent_id"], ["model.id"], name=op.f("fk_model_parent_id_model")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_model_project_id_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_model_project_id_name")),
    )
    op.create_table(
        "tile",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("project_id", BigKey, nullable=False),
        sa.Column("z", BigKey, nullable=False),
        sa.Column("x", BigKey, nullable=False),
        sa.Column("y", BigKey, nullable=False),
        sa.Column("imagery_id", BigKey, nullable=True),
        sa.Column("quadkey", sa.String(length=24), nullable=False),
        sa.Column("shuffle", sa.Double(), nullable=False),
        sa.Column("uncertainty", sa.Double(), nullable=False),
        sa.Column("split", sa.String(length=10), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("finished_by", BigKey, nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.CheckConstraint("split IN ('train', 'validation', 'test')", name=op.f("ck_tile_split")),
        sa.CheckConstraint("status IN ('open', 'complete', 'approved', 'returned')", name=op.f("ck_tile_status")),
        sa.ForeignKeyConstraint(["finished_by"], ["annotator.id"], name=op.f("fk_tile_finished_by_annotator")),
        sa.ForeignKeyConstraint(["imagery_id"], ["imagery.id"], name=op.f("fk_tile_imagery_id_imagery")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_tile_project_id_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tile")),
        sa.UniqueConstraint("project_id", "z", "x", "y", name=op.f("uq_tile_project_id_z_x_y")),
    )
    with op.batch_alter_table("tile") as batch_op:
        batch_op.create_index("ix_tile_queue_place", ["project_id", "status", "quadkey"], unique=False)
        batch_op.create_index("ix_tile_queue_shuffle", ["project_id", "status", "shuffle"], unique=False)
        batch_op.create_index("ix_tile_queue_uncertainty", ["project_id", "status", "uncertainty"], unique=False)

    op.create_table(
        "audit",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("sample_id", BigKey, nullable=False),
        sa.Column("tile_id", BigKey, nullable=False),
        sa.Column("annotator_id", BigKey, nullable=False),
        sa.Column("stratum", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=8), nullable=True),
        sa.CheckConstraint("outcome IN ('approve', 'return')", name=op.f("ck_audit_outcome")),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotator.id"], name=op.f("fk_audit_annotator_id_annotator")),
        sa.ForeignKeyConstraint(["sample_id"], ["audit_sample.id"], name=op.f("fk_audit_sample_id_audit_sample")),
        sa.ForeignKeyConstraint(["tile_id"], ["tile.id"], name=op.f("fk_audit_tile_id_tile")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sa.UniqueConstraint("sample_id", "tile_id", name=op.f("uq_audit_sample_id_tile_id")),
    )
    with op.batch_alter_table("audit") as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_tile_id"), ["tile_id"], unique=False)

    op.create_table(
        "claim",
        sa.Column("tile_id", BigKey, nullable=False),
        sa.Column("annotator_id", BigKey, nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ahead", sa.Boolean(), nullable=False),
        sa.Column("drawn_by", sa.String(length=12), nullable=False),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotator.id"], name=op.f("fk_claim_annotator_id_annotator")),
        sa.ForeignKeyConstraint(["tile_id"], ["tile.id"], name=op.f("fk_claim_tile_id_tile")),
        sa.PrimaryKeyConstraint("tile_id", name=op.f("pk_claim")),
    )
    with op.batch_alter_table("claim") as batch_op:
        batch_op.create_index(batch_op.f("ix_claim_annotator_id"), ["annotator_id"], unique=False)

    op.create_table(
        "run",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("project_id", BigKey, nullable=False),
        sa.Column("model_id", BigKey, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=9), nullable=False),
        sa.Column("prompt_hash", sa.String(length=64), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("tiles", BigKey, nullable=False),
        sa.Column("input_tokens", BigKey, nullable=False),
        sa.Column("cached_tokens", BigKey, nullable=False),
        sa.Column("cache_write_tokens", BigKey, nullable=False),
        sa.Column("output_tokens", BigKey, nullable=False),
        sa.Column("cost", sa.Double(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('running', 'finished', 'cancelled', 'failed')", name=op.f("ck_run_status")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_run_model_id_model")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_run_project_id_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    with op.batch_alter_table("run") as batch_op:
        batch_op.create_index(batch_op.f("ix_run_model_id"), ["model_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_run_project_id"), ["project_id"], unique=False)

    op.create_table(
        "run_tile",
        sa.Column("run_id", BigKey, nullable=False),
        sa.Column("tile_id", BigKey, nullable=False),
        sa.Column("status", sa.String(length=7), nullable=False),
        sa.Column("failure", sa.String(length=16), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("features", BigKey, nullable=False),
        sa.Column("dropped", sa.JSON(), nullable=False),
        sa.Column("input_tokens", BigKey, nullable=False),
        sa.Column("cached_tokens", BigKey, nullable=False),
        sa.Column("cache_write_tokens", BigKey, nullable=False),
        sa.Column("output_tokens", BigKey, nullable=False),
        sa.Column("cost", sa.Double(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.CheckConstraint("status IN ('pending', 'ok', 'failed')", name=op.f("ck_run_tile_status")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_tile_run_id_run")),
        sa.ForeignKeyConstraint(["tile_id"], ["tile.id"], name=op.f("fk_run_tile_tile_id_tile")),
        sa.PrimaryKeyConstraint("run_id", "tile_id", name=op.f("pk_run_tile")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("run_tile") as batch_op:
        batch_op.create_index(batch_op.f("ix_run_tile_tile_id"), ["tile_id"], unique=False)

    op.create_table(
        "tile_feature",
        sa.Column("tile_id", BigKey, nullable=False),
        sa.Column("feature_id", BigKey, nullable=False),
        sa.ForeignKeyConstraint(["feature_id"], ["feature.id"], name=op.f("fk_tile_feature_feature_id_feature")),
        sa.ForeignKeyConstraint(["tile_id"], ["tile.id"], name=op.f("fk_tile_feature_tile_id_tile")),
        sa.PrimaryKeyConstraint("tile_id", "feature_id", name=op.f("pk_tile_feature")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("tile_feature") as batch_op:
        batch_op.create_index(batch_op.f("ix_tile_feature_feature_id"), ["feature_id"], unique=False)

    op.create_table(
        "prediction",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("run_id", BigKey, nullable=False),
        sa.Column("feature_id", BigKey, nullable=False),
        sa.Column("class_id", BigKey, nullable=False),
        sa.Column("geometry", sa.LargeBinary(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("source_row", BigKey, nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("remembered", sa.String(length=8), nullable=True),
        sa.CheckConstraint(
            "remembered IN ('accept', 'correct', 'reject', 'add', 'unsure')", name=op.f("ck_prediction_remembered")
        ),
        sa.ForeignKeyConstraint(["class_id"], ["class.id"], name=op.f("fk_prediction_class_id_class")),
        sa.ForeignKeyConstraint(["feature_id"], ["feature.id"], name=op.f("fk_prediction_feature_id_feature")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_prediction_run_id_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prediction")),
    )
    with op.batch_alter_table("prediction") as batch_op:
        batch_op.create_index(batch_op.f("ix_prediction_feature_id"), ["feature_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_prediction_run_id"), ["run_id"], unique=False)

    op.create_table(
        "tile_event",
        sa.Column("seq", BigKey, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("tile_id", BigKey, nullable=False),
        sa.Column("annotator_id", BigKey, nullable=False),
        sa.Column("audit_id", BigKey, nullable=True),
        sa.Column("act", sa.String(length=8), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("drawn_by", sa.String(length=12), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("act IN ('complete', 'reopen', 'return', 'approve')", name=op.f("ck_tile_event_act")),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotator.id"], name=op.f("fk_tile_event_annotator_id_annotator")),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("fk_tile_event_audit_id_audit")),
        sa.ForeignKeyConstraint(["tile_id"], ["tile.id"], name=op.f("fk_tile_event_tile_id_tile")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_tile_event")),
        sa.UniqueConstraint("id", name=op.f("uq_tile_event_id")),
    )
    with op.batch_alter_table("tile_event") as batch_op:
        batch_op.create_index("ix_tile_event_speed", ["annotator_id", "stored_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_tile_event_tile_id"), ["tile_id"], unique=False)

    op.create_table(
        "decision",
        sa.Column("seq", BigKey, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", BigKey, nullable=False),
        sa.Column("tile_id", BigKey, nullable=False),
        sa.Column("feature_id", BigKey, nullable=False),
        sa.Column("prediction_id", BigKey, nullable=True),
        sa.Column("model_id", BigKey, nullable=True),
        sa.Column("annotator_id", BigKey, nullable=False),
        sa.Column("audit_id", BigKey, nullable=True),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=12), nullable=True),
        sa.Column("class_before_id", BigKey, nullable=True),
        sa.Column("class_id", BigKey, nullable=False),
        sa.Column("geometry_before", sa.LargeBinary(), nullable=True),
        sa.Column("geometry", sa.LargeBinary(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("undoes", sa.String(length=36), nullable=True),
        sa.Column("previous_id", sa.String(length=36), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(verdict = 'undo') = (undoes IS NOT NULL)", name=op.f("ck_decision_undoes")),
        sa.CheckConstraint(
            "reason IN ('not_there', 'duplicate', 'wrong_class', 'bad_imagery')", name=op.f("ck_decision_reason")
        ),
        sa.CheckConstraint(
            "verdict IN ('accept', 'correct', 'reject', 'add', 'unsure', 'undo')", name=op.f("ck_decision_verdict")
        ),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotator.id"], name=op.f("fk_decision_annotator_id_annotator")),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("fk_decision_audit_id_audit")),
        sa.ForeignKeyConstraint(["class_before_id"], ["class.id"], name=op.f("fk_decision_class_before_id_class")),
        sa.ForeignKeyConstraint(["class_id"], ["class.id"], name=op.f("fk_decision_class_id_class")),
        sa.ForeignKeyConstraint(["feature_id"], ["feature.id"], name=op.f("fk_decision_feature_id_feature")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_decision_model_id_model")),
        sa.ForeignKeyConstraint(
            ["prediction_id"], ["prediction.id"], name=op.f("fk_decision_prediction_id_prediction")
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_decision_project_id_project")),
        sa.ForeignKeyConstraint(["tile_id"], ["tile.id"], name=op.f("fk_decision_tile_id_tile")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_decision")),
        sa.UniqueConstraint("id", name=op.f("uq_decision_id")),
    )
    with op.batch_alter_table("decision") as batch_op:
        batch_op.create_index(batch_op.f("ix_decision_audit_id"), ["audit_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_decision_feature_id"), ["feature_id"], unique=False)
        batch_op.create_index("ix_decision_speed", ["project_id", "annotator_id", "stored_at", "seconds"], unique=False)
        batch_op.create_index(batch_op.f("ix_decision_tile_id"), ["tile_id"], unique=False)

    connection = op.get_bind()
    guards.make_append_only(connection, APPEND_ONLY)
