"""Test tiles that are annotated without any prediction shown"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("tile", sa.Column("blind", sa.Boolean(), nullable=False, server_default=sa.false()))
