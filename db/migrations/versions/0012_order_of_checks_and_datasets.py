"""Spot checks, audits and datasets know what was stored before them, whatever the clock said"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
COLUMNS = (
    ("audit_sample", "after_event"),
    ("audit", "after_event"),
    ("dataset", "number"),
    ("dataset", "after_event"),
    ("dataset", "after_model"),
    ("dataset", "after_import"),
)


def upgrade() -> None:
    """Add the columns; of what was stored before, the times have to do."""
    for table, column in COLUMNS:
        op.add_column(table, sa.Column(column, BigKey, nullable=True))
