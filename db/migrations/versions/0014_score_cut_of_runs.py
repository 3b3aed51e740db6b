"""Runs know the score below which what they predict is not shown"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Add the column; what older runs predicted is shown whole, as it was."""
    op.add_column("run", sa.Column("score_cut", sa.Double(), nullable=True))
