"""Whether pictures of an imagery may be sent to servers of other parties"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Imagery whose terms forbid training stays here until somebody says otherwise."""
    with op.batch_alter_table("imagery") as batch_op:
        batch_op.add_column(sa.Column("may_leave", sa.Boolean(), nullable=True))
    op.execute("UPDATE imagery SET may_leave = may_train")
    with op.batch_alter_table("imagery") as batch_op:
        batch_op.alter_column("may_leave", existing_type=sa.Boolean(), nullable=False)
