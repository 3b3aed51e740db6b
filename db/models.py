"""The tables. Rules the schema can hold are held here: names, checks, uniqueness, what may be empty.

`prediction`, `decision` and `tile_event` are append-only (triggers refuse changes, see db/sql). `feature` is
derived: what the decisions so far say of one thing on the ground, kept up to date by the transaction that stores one.
"""

from datetime import datetime
from typing import Any, ClassVar

from shapely.geometry.base import BaseGeometry
from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db.types import BigKey, UtcTime, Wkb, utc_now

GEOMETRY_TYPES = ("polygon", "line", "point")
IMAGERY_KINDS = ("geotiff", "tile_folder", "xyz", "wms")
TILE_STATUSES = ("open", "complete", "approved", "returned")
SPLITS = ("train", "validation", "test")
VERDICTS = ("accept", "correct", "reject", "add", "unsure")
REASONS = ("not_there", "duplicate", "wrong_class", "bad_imagery")
TILE_ACTS = ("complete", "reopen", "return", "approve")
ORDERS = ("uncertainty", "place", "random", "mixed")
RUN_STATUSES = ("running", "finished", "cancelled", "failed")
OUTCOMES = ("pending", "ok", "failed")


def one_of(column: str, values: tuple[str, ...], name: str) -> CheckConstraint:
    """A named check that `column` is one of `values`, or empty where the column may be."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name)


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        int: BigKey,
        datetime: UtcTime,
        BaseGeometry: Wkb,
        dict[str, Any]: JSON,
        str: Text,
    }


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
    """Where pixels come from. `info` is what `imagery.source.SourceInfo` says of the source."""

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
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Tile(Base):
    """One z/x/y square of the project's working zoom: the unit of work, of a training example and of a split.

    `quadkey` orders by place, `shuffle` (0 to 1, drawn once) at random, `uncertainty` (0 to 1) by how little the model
    knows. `split` is set once, when the tile is made, and never changes.
    """

    __tablename__ = "tile"
    __table_args__ = (
        UniqueConstraint("project_id", "z", "x", "y"),
        one_of("status", TILE_STATUSES, "status"),
        one_of("split", SPLITS, "split"),
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


class Claim(Base):
    """A lease on a tile: one annotator at a time, over at `expires_at`. `ahead`: fetched before it is needed."""

    __tablename__ = "claim"

    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id"), primary_key=True)
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotator.id"), index=True)
    taken_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    ahead: Mapped[bool] = mapped_column(default=False)
    drawn_by: Mapped[str] = mapped_column(String(12), default="address")


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
    life; a running one whose worker is gone can be resumed. `error`: why it failed as a whole.
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
    accept, correct or add is an annotation. `withdrawn`: a newer run no longer predicts it, nobody decided it.
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


class Decision(Base):
    """What a person said about one feature. `id` is made in the browser, so that storing twice stores once.

    `verdict` undo takes back `undoes`. `previous_id` is the decision that stood before, to which an undo returns.
    A decision with an `audit_id` is a reviewer's blind second opinion and does not move the feature.
    """

    __tablename__ = "decision"
    __table_args__ = (
        one_of("verdict", (*VERDICTS, "undo"), "verdict"),
        one_of("reason", REASONS, "reason"),
        CheckConstraint("(verdict = 'undo') = (undoes IS NOT NULL)", name="undoes"),
        Index("ix_decision_speed", "project_id", "annotator_id", "stored_at", "seconds"),
    )

    seq: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(36), unique=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id"), index=True)
    feature_id: Mapped[int] = mapped_column(ForeignKey("feature.id"), index=True)
    prediction_id: Mapped[int | None] = mapped_column(ForeignKey("prediction.id"))
    model_id: Mapped[int | None] = mapped_column(ForeignKey("model.id"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    audit_id: Mapped[int | None] = mapped_column(ForeignKey("audit.id"), index=True)
    verdict: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str | None] = mapped_column(String(12))
    class_before_id: Mapped[int | None] = mapped_column(ForeignKey("class.id"))
    class_id: Mapped[int] = mapped_column(ForeignKey("class.id"))
    geometry_before: Mapped[BaseGeometry | None]
    geometry: Mapped[BaseGeometry]
    seconds: Mapped[float]
    undoes: Mapped[str | None] = mapped_column(String(36))
    previous_id: Mapped[str | None] = mapped_column(String(36))
    made_at: Mapped[datetime]
    stored_at: Mapped[datetime] = mapped_column(default=utc_now)


class TileEvent(Base):
    """What a person said about a whole tile: complete ("nothing missing"), reopen, return, approve."""

    __tablename__ = "tile_event"
    __table_args__ = (one_of("act", TILE_ACTS, "act"), Index("ix_tile_event_speed", "annotator_id", "stored_at"))

    seq: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(36), unique=True)
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id"), index=True)
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    audit_id: Mapped[int | None] = mapped_column(ForeignKey("audit.id"))
    act: Mapped[str] = mapped_column(String(8))
    comment: Mapped[str] = mapped_column(default="")
    seconds: Mapped[float] = mapped_column(default=0.0)
    drawn_by: Mapped[str] = mapped_column(String(12), default="address")
    stored_at: Mapped[datetime] = mapped_column(default=utc_now)


class AuditSample(Base):
    """A random sample of finished tiles, drawn by a reviewer for a spot check; `criteria`: how."""

    __tablename__ = "audit_sample"

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    reviewer_id: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    criteria: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    closed_at: Mapped[datetime | None]


class Audit(Base):
    """A second, blind look at one tile of a sample by somebody other than `annotator_id`, who finished it."""

    __tablename__ = "audit"
    __table_args__ = (UniqueConstraint("sample_id", "tile_id"), one_of("outcome", ("approve", "return"), "outcome"))

    id: Mapped[int] = mapped_column(primary_key=True)
    sample_id: Mapped[int] = mapped_column(ForeignKey("audit_sample.id"))
    tile_id: Mapped[int] = mapped_column(ForeignKey("tile.id"), index=True)
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    stratum: Mapped[str] = mapped_column(default="")
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(8))


class Dataset(Base):
    """A frozen, hashed snapshot of tiles with its split and manifest; its files lie in the datasets folder."""

    __tablename__ = "dataset"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    created_by: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    manifest: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
