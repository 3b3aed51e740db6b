"""Frozen snapshots."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base
from db.models.imports import Import
from db.models.prediction import Model
from db.models.review import TileEvent
from db.types import utc_now


class Dataset(Base):
    """A frozen, hashed snapshot of tiles with its split and manifest; its files lie in the datasets folder.

    `number` counts datasets in the order of freezing; `after_...`: the last act on a tile, model and import stored
    before it. They order what is older and newer, whatever the clock said; empty in rows older than the columns.
    """

    __tablename__ = "dataset"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    created_by: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    manifest: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    number: Mapped[int | None] = mapped_column(default=text("(SELECT coalesce(max(number), 0) + 1 FROM dataset)"))
    after_event: Mapped[int | None] = mapped_column(
        default=select(func.coalesce(func.max(TileEvent.seq), 0)).scalar_subquery()
    )
    after_model: Mapped[int | None] = mapped_column(
        default=select(func.coalesce(func.max(Model.id), 0)).scalar_subquery()
    )
    after_import: Mapped[int | None] = mapped_column(
        default=select(func.coalesce(func.max(Import.id), 0)).scalar_subquery()
    )


NEWEST_FIRST = (Dataset.number.desc().nulls_last(), Dataset.created_at.desc())
