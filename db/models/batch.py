"""What a run hands to a server in files, to be answered within a day: each batch, and which tiles are in it."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, one_of
from db.types import utc_now

BATCH_STATUSES = ("written", "uploaded", "submitted", "collected", "dropped")


class Batch(Base):
    """One file of requests. Its row is there before the server hears of it, and says what is known to have happened.

    written     the file is on disk: it may be uploaded under `name`, which no other has
    uploaded    the server has it as `input_file_id`: a batch of it may have been made there
    submitted   the server's batch is `remote_id`, and `remote_status` the server's word for how far it is
    collected   what became of its tiles is stored
    dropped     it came to nothing, `error` says why: its tiles are free again
    """

    __tablename__ = "batch"
    __table_args__ = (
        UniqueConstraint("run_id", "number"),
        UniqueConstraint("name"),
        one_of("status", BATCH_STATUSES, "status"),
        CheckConstraint("status IN ('written', 'dropped') OR input_file_id IS NOT NULL", name="uploaded"),
        CheckConstraint("status IN ('written', 'uploaded', 'dropped') OR remote_id IS NOT NULL", name="submitted"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    number: Mapped[int]
    name: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(9), default="written")
    requests: Mapped[int]
    size: Mapped[int]
    input_file_id: Mapped[str | None]
    remote_id: Mapped[str | None]
    remote_status: Mapped[str] = mapped_column(default="")
    completed: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    submitted_at: Mapped[datetime | None]
    collected_at: Mapped[datetime | None]


class BatchTile(Base):
    """A tile that a batch asks about, and the line of the file that does."""

    __tablename__ = "batch_tile"
    __table_args__ = ({"sqlite_with_rowid": False},)

    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id"), primary_key=True)
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id"), primary_key=True, index=True)
    line: Mapped[int]
