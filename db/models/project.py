"""A project: its people, classes, imagery and tiles, and who holds which tile."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, one_of
from db.types import utc_now

GEOMETRY_TYPES = ("polygon", "line", "point")
IMAGERY_KINDS = ("geotiff", "tile_folder", "xyz", "wms")
TILE_STATUSES = ("open", "complete", "approved", "returned")
SPLITS = ("train", "validation", "test")
SET_ASIDE = ("area", "import")


class Annotator(Base):
    """A person who decides."""

    __tablename__ = "annotator"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Project(Base):
    """Classes, imagery, prompt and settings of one mapping effort."""

    __tablename__ = "project"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    zoom: Mapped[int]
    tile_size: Mapped[int] = mapped_column(default=512)
    seed: Mapped[str]
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class FeatureClass(Base):
    """A kind of feature; `digit` is the key that sets it in the review map."""

    __tablename__ = "class"
    __table_args__ = (
        UniqueConstraint("project_id", "name"),
        UniqueConstraint("project_id", "digit"),
        one_of("geometry_type", GEOMETRY_TYPES, "geometry_type"),
        CheckConstraint("digit BETWEEN 1 AND 9", name="digit"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    name: Mapped[str]
    geometry_type: Mapped[str] = mapped_column(String(8))
    colour: Mapped[str] = mapped_column(String(7))
    digit: Mapped[int | None]
    definition: Mapped[str] = mapped_column(default="")


class Imagery(Base):
    """Where pixels come from. `info` is what `imagery.source.SourceInfo` says of the source.

    may_train   its terms allow models to be trained on it
    may_leave   its terms allow pictures of it to be sent to servers of other parties
    withdrawn_at    its import was taken back, and no tile has it any more; datasets may still name it.
    """

    __tablename__ = "imagery"
    __table_args__ = (UniqueConstraint("project_id", "location"), one_of("kind", IMAGERY_KINDS, "kind"))

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    kind: Mapped[str] = mapped_column(String(12))
    location: Mapped[str]
    info: Mapped[dict[str, Any]]
    attribution: Mapped[str] = mapped_column(default="")
    licence: Mapped[str] = mapped_column(default="")
    may_train: Mapped[bool] = mapped_column(default=True)
    may_leave: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    withdrawn_at: Mapped[datetime | None]


class Tile(Base):
    """One z/x/y square of the project's working zoom: the unit of work, of a training example and of a split.

    `quadkey` orders by place, `shuffle` (0 to 1, drawn once) at random, `uncertainty` (0 to 1) by how little the model
    knows. `split` is set once, when the tile is made, and never changes. `import_id`: the import that made it.
    `set_aside`: it is not asked about and does not count, as it lies outside the project's area, or as the only import
    that knew of it was taken back; empty for all others.

    `pixel_share` (0 to 1) is the share of it that has pixels, None while nobody has looked; `pixel_mask` says where,
    when only a part has (`imagery.pixels.PixelCoverage`); `pixel_source` is the fingerprint of the imagery looked at.
    `blind`: people annotate it without any prediction shown (`predict.blind`).
    """

    __tablename__ = "tile"
    __table_args__ = (
        UniqueConstraint("project_id", "z", "x", "y"),
        one_of("status", TILE_STATUSES, "status"),
        one_of("split", SPLITS, "split"),
        CheckConstraint("pixel_share BETWEEN 0 AND 1", name="pixel_share"),
        one_of("set_aside", SET_ASIDE, "set_aside"),
        Index("ix_tile_queue_uncertainty", "project_id", "status", "uncertainty"),
        Index("ix_tile_queue_place", "project_id", "status", "quadkey"),
        Index("ix_tile_queue_shuffle", "project_id", "status", "shuffle"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    z: Mapped[int]
    x: Mapped[int]
    y: Mapped[int]
    imagery_id: Mapped[int | None] = mapped_column(ForeignKey("imagery.id"))
    quadkey: Mapped[str] = mapped_column(String(24))
    shuffle: Mapped[float]
    uncertainty: Mapped[float] = mapped_column(default=0.0)
    split: Mapped[str] = mapped_column(String(10))
    status: Mapped[str] = mapped_column(String(8), default="open")
    finished_by: Mapped[int | None] = mapped_column(ForeignKey("annotator.id"))
    finished_at: Mapped[datetime | None]
    comment: Mapped[str] = mapped_column(default="")
    pixel_share: Mapped[float | None]
    pixel_mask: Mapped[bytes | None]
    pixel_source: Mapped[str | None] = mapped_column(String(16))
    import_id: Mapped[int | None] = mapped_column(ForeignKey("import.id"))
    set_aside: Mapped[str | None] = mapped_column(String(6))
    blind: Mapped[bool] = mapped_column(default=False, server_default=false())


class SplitBlock(Base):
    """A square of tiles that went to one side of the split as a whole, for ever. A tile is in at most one."""

    __tablename__ = "split_block"
    __table_args__ = (one_of("split", SPLITS, "split"), {"sqlite_with_rowid": False})

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True)
    z: Mapped[int] = mapped_column(primary_key=True)
    x: Mapped[int] = mapped_column(primary_key=True)
    y: Mapped[int] = mapped_column(primary_key=True)
    split: Mapped[str] = mapped_column(String(10))


class Claim(Base):
    """A lease on a tile: one annotator at a time, over at `expires_at`. `ahead`: fetched before it is needed."""

    __tablename__ = "claim"

    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id"), primary_key=True)
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotator.id"), index=True)
    taken_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    ahead: Mapped[bool] = mapped_column(default=False)
    drawn_by: Mapped[str] = mapped_column(String(12), default="address")
