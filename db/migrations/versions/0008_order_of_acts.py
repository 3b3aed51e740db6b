"""Acts on tiles and finished audits know the last decision stored before them"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns; of what was stored before, the times have to do."""
    for table in ("tile_event", "audit"):
        op.add_column(table, sa.Column("after_decision", BigKey, nullable=True))
