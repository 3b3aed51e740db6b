"""Batches of a run that a server answers within a day"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "batch",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("run_id", BigKey, nullable=False),
        sa.Column("number", BigKey, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=9), nullable=False),
        sa.Column("requests", BigKey, nullable=False),
        sa.Column("size", BigKey, nullable=False),
        sa.Column("input_file_id", sa.Text(), nullable=True),
        sa.Column("remote_id", sa.Text(), nullable=True),
        sa.Column("remote_status", sa.Text(), nullable=False),
        sa.Column("completed", BigKey, nullable=False),
        sa.Column("failed", BigKey, nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('written', 'uploaded', 'submitted', 'collected', 'dropped')", name=op.f("ck_batch_status")
        ),
        sa.CheckConstraint(
            "status IN ('written', 'dropped') OR input_file_id IS NOT NULL", name=op.f("ck_batch_uploaded")
        ),
        sa.CheckConstraint(
            "status IN ('written', 'uploaded', 'dropped') OR remote_id IS NOT NULL", name=op.f("ck_batch_submitted")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_batch_run_id_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
        sa.UniqueConstraint("run_id", "number", name=op.f("uq_batch_run_id_number")),
        sa.UniqueConstraint("name", name=op.f("uq_batch_name")),
    )
    op.create_table(
        "batch_tile",
        sa.Column("batch_id", BigKey, nullable=False),
        sa.Column("tile_id", BigKey, nullable=False),
        sa.Column("line", BigKey, nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_batch_tile_batch_id_batch")),
        sa.ForeignKeyConstraint(["tile_id"], ["tile.id"], name=op.f("fk_batch_tile_tile_id_tile")),
        sa.PrimaryKeyConstraint("batch_id", "tile_id", name=op.f("pk_batch_tile")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("batch_tile") as batch_op:
        batch_op.create_index(batch_op.f("ix_batch_tile_tile_id"), ["tile_id"], unique=False)
