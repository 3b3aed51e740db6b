"""Split blocks with their sides, as the tiles that are there were assigned"""

import json
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "split_block",
        sa.Column("project_id", BigKey, autoincrement=False, nullable=False),
        sa.Column("z", BigKey, autoincrement=False, nullable=False),
        sa.Column("x", BigKey, autoincrement=False, nullable=False),
        sa.Column("y", BigKey, autoincrement=False, nullable=False),
        sa.Column("split", sa.String(length=10), nullable=False),
        sa.CheckConstraint("split IN ('train', 'validation', 'test')", name=op.f("ck_split_block_split")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_split_block_project_id_project")),
        sa.PrimaryKeyConstraint("project_id", "z", "x", "y", name=op.f("pk_split_block")),
        sqlite_with_rowid=False,
    )
    keep_what_is_there(op.get_bind())


def keep_what_is_there(connection: sa.Connection) -> None:
    """Make blocks of the tiles that projects have; projects without tiles choose their size of blocks anew."""
    for identifier, zoom, told in connection.execute(sa.text("SELECT id, zoom, settings FROM project")).all():
        settings = json.loads(told) if isinstance(told, str) else dict(told)
        offset = settings.get("block_zoom_offset", 2)
        offset = min(zoom, 2 if offset is None else offset)
        side = 2**offset
        connection.execute(
            sa.text(
                "INSERT INTO split_block (project_id, z, x, y, split) "
                "SELECT project_id, z - :offset, x / :side, y / :side, MIN(split) FROM tile "
                "WHERE project_id = :project GROUP BY project_id, z - :offset, x / :side, y / :side"
            ),
            {"offset": offset, "side": side, "project": identifier},
        )
        blocks = sa.text("SELECT COUNT(*) FROM split_block WHERE project_id = :project")
        if not connection.execute(blocks, {"project": identifier}).scalar_one():
            statement = sa.text("UPDATE project SET settings = :settings WHERE id = :project")
            statement = statement.bindparams(sa.bindparam("settings", type_=sa.JSON()))
            connection.execute(statement, {"settings": {**settings, "block_zoom_offset": None}, "project": identifier})
