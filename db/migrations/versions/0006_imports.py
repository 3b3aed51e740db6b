"""Imports that are on record and can be taken back, and the area of a project"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "import",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("project_id", BigKey, nullable=False),
        sa.Column("kind", sa.String(length=11), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("annotator_id", BigKey, nullable=True),
        sa.Column("run_id", BigKey, nullable=True),
        sa.Column("imagery_id", BigKey, nullable=True),
        sa.Column("area", sa.LargeBinary(), nullable=True),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_by", BigKey, nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undo_report", sa.JSON(), nullable=True),
        sa.CheckConstraint("kind IN ('imagery', 'predictions', 'annotations', 'area')", name=op.f("ck_import_kind")),
        sa.CheckConstraint("(undone_by IS NULL) = (undone_at IS NULL)", name=op.f("ck_import_undone")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_import_project_id_project")),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotator.id"], name=op.f("fk_import_annotator_id_annotator")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_import_run_id_run")),
        sa.ForeignKeyConstraint(["imagery_id"], ["imagery.id"], name=op.f("fk_import_imagery_id_imagery")),
        sa.ForeignKeyConstraint(["undone_by"], ["annotator.id"], name=op.f("fk_import_undone_by_annotator")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import")),
    )
    op.create_index(op.f("ix_import_project_id"), "import", ["project_id"], unique=False)
    op.create_index(op.f("ix_import_run_id"), "import", ["run_id"], unique=False)
    for other in ("tile", "feature"):
        op.create_table(
            f"import_{other}",
            sa.Column("import_id", BigKey, nullable=False),
            sa.Column(f"{other}_id", BigKey, nullable=False),
            sa.ForeignKeyConstraint(["import_id"], ["import.id"], name=op.f(f"fk_import_{other}_import_id_import")),
            sa.ForeignKeyConstraint(
                [f"{other}_id"], [f"{other}.id"], name=op.f(f"fk_import_{other}_{other}_id_{other}")
            ),
            sa.PrimaryKeyConstraint("import_id", f"{other}_id", name=op.f(f"pk_import_{other}")),
            sqlite_with_rowid=False,
        )
        op.create_index(op.f(f"ix_import_{other}_{other}_id"), f"import_{other}", [f"{other}_id"], unique=False)

    # By hand: alembic would copy the tables on SQLite for the sake of references, and leave triggers behind.
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    key, time = ("INTEGER", "DATETIME") if sqlite else ("BIGINT", "TIMESTAMP WITH TIME ZONE")

    def refer(table: str, column: str, to: str) -> str:
        return f'{table} ADD COLUMN {column} {key} CONSTRAINT fk_{table}_{column}_{to} REFERENCES "{to}" (id)'

    for change in (
        refer("decision", "import_id", "import"),
        refer("tile_event", "import_id", "import"),
        refer("tile", "import_id", "import"),
        "tile ADD COLUMN set_aside VARCHAR(6) CONSTRAINT ck_tile_set_aside CHECK (set_aside IN ('area', 'import'))",
        refer("feature", "withdrawn_by", "run"),
        f"run ADD COLUMN withdrawn_at {time}",
        f"imagery ADD COLUMN withdrawn_at {time}",
    ):
        connection.exec_driver_sql(f"ALTER TABLE {change}")
    given = sa.text("import_id IS NOT NULL")
    for table in ("decision", "tile_event"):
        op.create_index(f"ix_{table}_import_id", table, ["import_id"], sqlite_where=given, postgresql_where=given)

    # Files of predictions from before can be taken back too; of other imports nobody noted what they brought.
    connection.exec_driver_sql(
        'INSERT INTO "import" (project_id, kind, source, run_id, report, made_at) '
        "SELECT project_id, 'predictions', source, id, report, started_at FROM run WHERE source <> '' ORDER BY id"
    )
    connection.exec_driver_sql(
        "INSERT INTO import_tile (import_id, tile_id) "
        'SELECT DISTINCT i.id, tf.tile_id FROM "import" i JOIN prediction p ON p.run_id = i.run_id '
        "JOIN tile_feature tf ON tf.feature_id = p.feature_id"
    )
