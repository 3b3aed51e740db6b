"""How much of a tile has pixels, and where"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # By hand: alembic would copy the table on SQLite for the sake of the check.
    number = "DOUBLE" if op.get_bind().dialect.name == "sqlite" else "DOUBLE PRECISION"
    op.get_bind().exec_driver_sql(
        f"ALTER TABLE tile ADD COLUMN pixel_share {number} "
        "CONSTRAINT ck_tile_pixel_share CHECK (pixel_share BETWEEN 0 AND 1)"
    )
    op.add_column("tile", sa.Column("pixel_mask", sa.LargeBinary(), nullable=True))
    op.add_column("tile", sa.Column("pixel_source", sa.String(length=16), nullable=True))
