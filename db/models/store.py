"""The store itself: the database's own name, and the chain that holds its history together."""

from datetime import datetime

from sqlalchemy import CheckConstraint, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, one_of
from db.types import utc_now

CHAINED = ("decision", "tile_event")


class Store(Base):
    """The database itself, in one row. `checked_at`: when it was last tried whether it can be written."""

    __tablename__ = "store"
    __table_args__ = (CheckConstraint("id = 1", name="only"),)

    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    name: Mapped[str] = mapped_column(String(36))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    checked_at: Mapped[datetime | None]


class ChainLink(Base):
    """A link of the hash chain over decisions and tile events (db/chain.py); append-only.

    `position` counts from 1 without gaps, `seq` is the row's in the table `kind`, `digest` its SHA-256 with that of the
    link before.
    """

    __tablename__ = "chain_link"
    __table_args__ = (UniqueConstraint("kind", "seq"), one_of("kind", CHAINED, "kind"))

    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(10))
    seq: Mapped[int]
    digest: Mapped[bytes] = mapped_column(LargeBinary)
