"""Whether pictures of an imagery may be sent to servers of other parties"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Imagery whose terms forbid training stays here until somebody says otherwise.

    The table is not rebuilt, as batch operations would: tiles refer to it.
    """
    op.add_column("imagery", sa.Column("may_leave", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.execute("UPDATE imagery SET may_leave = may_train")
