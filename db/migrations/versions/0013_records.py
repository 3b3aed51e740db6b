"""Records of predictions and of imports that were taken back, to be verified; who withdrew features of old"""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import op

from db import guards
from db.records import record_predictions, record_undo
from db.types import UtcTime

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SQL = Path(__file__).parents[2] / "sql"


def upgrade() -> None:
    op.create_table(
        "record",
        sa.Column("seq", BigKey, nullable=False),
        sa.Column("project_id", BigKey, nullable=False),
        sa.Column("act", sa.String(length=11), nullable=False),
        sa.Column("annotator_id", BigKey, nullable=True),
        sa.Column("run_id", BigKey, nullable=True),
        sa.Column("import_id", BigKey, nullable=True),
        sa.Column("first_id", BigKey, nullable=True),
        sa.Column("last_id", BigKey, nullable=True),
        sa.Column("count", BigKey, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("act IN ('predict', 'undo_import')", name=op.f("ck_record_act")),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotator.id"], name=op.f("fk_record_annotator_id_annotator")),
        sa.ForeignKeyConstraint(["import_id"], ["import.id"], name=op.f("fk_record_import_id_import")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_record_project_id_project")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_record_run_id_run")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_record")),
    )
    for column in ("project_id", "run_id", "import_id"):
        op.create_index(op.f(f"ix_record_{column}"), "record", [column], unique=False)
    connection = op.get_bind()
    connection.exec_driver_sql((SQL / "withdrawn_of_old.sql").read_text(encoding="utf-8"))
    _record_what_is_there(connection)
    guards.install(connection, ("record",))
    guards.make_append_only(connection, ("record",))


def _record_what_is_there(connection: sa.Connection) -> None:
    runs = connection.exec_driver_sql(
        "SELECT run.project_id, run.id, min(prediction.id), max(prediction.id) FROM run "
        "JOIN prediction ON prediction.run_id = run.id GROUP BY run.project_id, run.id ORDER BY run.id"
    ).all()
    for project_id, run_id, first_id, last_id in runs:
        record_predictions(connection, project_id, run_id, first_id, last_id)
    imports = sa.table(
        "import",
        *(sa.column(name, BigKey) for name in ("id", "project_id", "undone_by")),
        sa.column("undone_at", UtcTime),
    )
    undone = sa.select(imports).where(imports.c.undone_at.is_not(None)).order_by(imports.c.id)
    for row in connection.execute(undone).all():
        record_undo(connection, row.project_id, row.id, row.undone_by, row.undone_at)
