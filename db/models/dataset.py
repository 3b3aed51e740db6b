"""Frozen snapshots."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base
from db.types import utc_now


class Dataset(Base):
    """A frozen, hashed snapshot of tiles with its split and manifest; its files lie in the datasets folder."""

    __tablename__ = "dataset"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    created_by: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    manifest: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
