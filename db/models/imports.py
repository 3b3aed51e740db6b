"""Imports: files and imagery brought into a project, by whom, and whether they were taken back."""

from datetime import datetime
from typing import Any

from shapely.geometry.base import BaseGeometry
from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, one_of
from db.types import utc_now

IMPORT_KINDS = ("imagery", "predictions", "annotations", "area")


class Import(Base):
    """One import into a project. It is never deleted: one that was taken back says by whom and when.

    source              a file name, or the host of a server: a location may hold a key
    annotator_id        who imported it; empty for imports from before they were recorded
    run_id, imagery_id  the run that predictions became, the imagery that was made known
    area                the project's area of an import of one; else the ground that the file was said to cover, if any
    report              what the import answered
    undo_report         what taking it back came to
    """

    __tablename__ = "import"
    __table_args__ = (
        one_of("kind", IMPORT_KINDS, "kind"),
        CheckConstraint("(undone_by IS NULL) = (undone_at IS NULL)", name="undone"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    kind: Mapped[str] = mapped_column(String(11))
    source: Mapped[str]
    annotator_id: Mapped[int | None] = mapped_column(ForeignKey("annotator.id"))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id"), index=True)
    imagery_id: Mapped[int | None] = mapped_column(ForeignKey("imagery.id"))
    area: Mapped[BaseGeometry | None]
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    made_at: Mapped[datetime] = mapped_column(default=utc_now)
    undone_by: Mapped[int | None] = mapped_column(ForeignKey("annotator.id"))
    undone_at: Mapped[datetime | None]
    undo_report: Mapped[dict[str, Any] | None]


class ImportTile(Base):
    """A tile that an import covers: its model looked there, or its truth is complete there."""

    __tablename__ = "import_tile"
    __table_args__ = ({"sqlite_with_rowid": False},)

    import_id: Mapped[int] = mapped_column(ForeignKey("import.id"), primary_key=True)
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id"), primary_key=True, index=True)


class ImportFeature(Base):
    """An annotation that stood already when known truth that holds it too was imported: that import vouches for it."""

    __tablename__ = "import_feature"
    __table_args__ = ({"sqlite_with_rowid": False},)

    import_id: Mapped[int] = mapped_column(ForeignKey("import.id"), primary_key=True)
    feature_id: Mapped[int] = mapped_column(ForeignKey("feature.id"), primary_key=True, index=True)
