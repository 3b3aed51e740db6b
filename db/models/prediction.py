"""What models are, what their runs did, what they said, and the features on the ground that this is about."""

from datetime import datetime
from typing import Any

from shapely.geometry.base import BaseGeometry
from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import VERDICTS, Base, one_of
from db.types import utc_now

RUN_STATUSES = ("running", "finished", "cancelled", "failed")
OUTCOMES = ("pending", "ok", "failed")


class Model(Base):
    """Something that predicts: backend, identifier and parameters; knows its parent and the dataset it was tuned on."""

    __tablename__ = "model"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    name: Mapped[str]
    backend: Mapped[str] = mapped_column(String(16))
    identifier: Mapped[str] = mapped_column(default="")
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("model.id"))
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("dataset.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Run(Base):
    """One model over some tiles, or a file of its predictions, which is stored in one go.

    `prompt_hash`: of everything beside model and pixels that shapes an answer. Tokens, cost (USD, empty when a price is
    unknown) and seconds are the sums over its tiles. `worker` is who carries it out and `beat_at` the last sign of
    life; a running one whose worker is gone can be resumed. `error`: why it failed as a whole. `score_cut`: what it
    predicts with a lower score is not shown for review. `withdrawn_at`: the file it is was taken back, and it counts
    no more.
    """

    __tablename__ = "run"
    __table_args__ = (one_of("status", RUN_STATUSES, "status"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"), index=True)
    source: Mapped[str] = mapped_column(default="")
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    status: Mapped[str] = mapped_column(String(9), default="finished")
    prompt_hash: Mapped[str] = mapped_column(String(64), default="")
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    tiles: Mapped[int] = mapped_column(default=0)
    input_tokens: Mapped[int] = mapped_column(default=0)
    cached_tokens: Mapped[int] = mapped_column(default=0)
    cache_write_tokens: Mapped[int] = mapped_column(default=0)
    output_tokens: Mapped[int] = mapped_column(default=0)
    cost: Mapped[float | None]
    seconds: Mapped[float] = mapped_column(default=0.0)
    error: Mapped[str] = mapped_column(default="")
    worker: Mapped[str] = mapped_column(default="")
    beat_at: Mapped[datetime | None]
    started_at: Mapped[datetime] = mapped_column(default=utc_now)
    finished_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    score_cut: Mapped[float | None]


class RunTile(Base):
    """What became of one tile of a run: `pending` until it is predicted, or failed and why (`failure`, `message`).

    Written together with the tile's predictions, so that a tile is never predicted, or paid for, twice.
    """

    __tablename__ = "run_tile"
    __table_args__ = (one_of("status", OUTCOMES, "status"), {"sqlite_with_rowid": False})

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True)
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id"), primary_key=True, index=True)
    status: Mapped[str] = mapped_column(String(7), default="pending")
    failure: Mapped[str | None] = mapped_column(String(16))
    message: Mapped[str] = mapped_column(default="")
    features: Mapped[int] = mapped_column(default=0)
    dropped: Mapped[dict[str, Any]] = mapped_column(default=dict)
    input_tokens: Mapped[int] = mapped_column(default=0)
    cached_tokens: Mapped[int] = mapped_column(default=0)
    cache_write_tokens: Mapped[int] = mapped_column(default=0)
    output_tokens: Mapped[int] = mapped_column(default=0)
    cost: Mapped[float | None]
    seconds: Mapped[float] = mapped_column(default=0.0)


class Feature(Base):
    """One thing on the ground as the decisions so far leave it; several predictions, of several runs, may point at it.

    `verdict` is empty until somebody decides. `decision_id` is the decision that stands. A feature whose `verdict` is
    accept, correct or add is an annotation. `withdrawn`: nobody decided it, and it is not
    to be shown (`db.conditions.gone`); `withdrawn_by`: the newer run that no longer predicts it.
    """

    __tablename__ = "feature"
    __table_args__ = (
        one_of("verdict", VERDICTS, "verdict"),
        Index("ix_feature_project_verdict", "project_id", "verdict", "class_id", "withdrawn"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    class_id: Mapped[int] = mapped_column(ForeignKey("class.id"))
    geometry: Mapped[BaseGeometry]
    prediction_id: Mapped[int | None] = mapped_column(index=True)
    verdict: Mapped[str | None] = mapped_column(String(8))
    decision_id: Mapped[str | None] = mapped_column(String(36))
    added_as: Mapped[str | None] = mapped_column(String(36), unique=True)
    withdrawn: Mapped[bool] = mapped_column(default=False)
    withdrawn_by: Mapped[int | None] = mapped_column(ForeignKey("run.id"))


class TileFeature(Base):
    """Which tiles a feature touches."""

    __tablename__ = "tile_feature"
    __table_args__ = ({"sqlite_with_rowid": False},)

    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id"), primary_key=True)
    feature_id: Mapped[int] = mapped_column(ForeignKey("feature.id"), primary_key=True, index=True)


class Prediction(Base):
    """One feature from one run, as the model gave it. `remembered`: the verdict it matched when it came in, if any."""

    __tablename__ = "prediction"
    __table_args__ = (one_of("remembered", VERDICTS, "remembered"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), index=True)
    feature_id: Mapped[int] = mapped_column(ForeignKey("feature.id"), index=True)
    class_id: Mapped[int] = mapped_column(ForeignKey("class.id"))
    geometry: Mapped[BaseGeometry]
    score: Mapped[float | None]
    source_row: Mapped[int]
    properties: Mapped[dict[str, Any]] = mapped_column(default=dict)
    remembered: Mapped[str | None] = mapped_column(String(8))
