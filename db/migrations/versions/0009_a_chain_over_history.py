"""A chain over decisions and tile events, guards of the names they rest on, and the store's own name"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from db import chain, guards

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "chain_link",
        sa.Column("position", BigKey, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("seq", BigKey, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("kind IN ('decision', 'tile_event')", name=op.f("ck_chain_link_kind")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_chain_link")),
        sa.UniqueConstraint("kind", "seq", name=op.f("uq_chain_link_kind_seq")),
    )
    store = op.create_table(
        "store",
        sa.Column("id", BigKey, nullable=False),
        sa.Column("name", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_store_only")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_store")),
    )
    connection = op.get_bind()
    now = datetime.now(UTC)
    connection.execute(
        sa.insert(store).values(
            id=1, name=str(uuid.uuid4()), created_at=now.replace(tzinfo=None) if is_sqlite(connection) else now
        )
    )
    chain.link_all(connection)
    guards.make_append_only(connection, ("chain_link",))
    guards.install(connection)


def is_sqlite(connection: sa.Connection) -> bool:
    return connection.dialect.name == "sqlite"
