"""Facts that are recorded beside decisions and acts on tiles, so that what rests on them can be verified."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, one_of
from db.types import stored_now

RECORDED = ("predict", "undo_import")


class Record(Base):
    """Predictions that a run stored, or an import that was taken back; append-only, and a hash chain of its own.

    first_id, last_id, count, digest    the predictions, by id, and the SHA-256 of all they say (`db.records`)
    link                                SHA-256 over the link before and this row
    """

    __tablename__ = "record"
    __table_args__ = (one_of("act", RECORDED, "act"),)

    seq: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    act: Mapped[str] = mapped_column(String(11))
    annotator_id: Mapped[int | None] = mapped_column(ForeignKey("annotator.id"))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id"), index=True)
    import_id: Mapped[int | None] = mapped_column(ForeignKey("import.id"), index=True)
    first_id: Mapped[int | None]
    last_id: Mapped[int | None]
    count: Mapped[int] = mapped_column(default=0)
    digest: Mapped[str | None] = mapped_column(String(64))
    stored_at: Mapped[datetime] = mapped_column(default=stored_now)
    link: Mapped[bytes] = mapped_column(LargeBinary)
