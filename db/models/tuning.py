"""Trainings: what was asked for, how far it is, what the trainer said on the way."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, one_of
from db.types import utc_now

TRAINERS = ("local", "openai")
TUNING_STATUSES = ("preparing", "running", "paused", "succeeded", "failed", "cancelled")
TUNING_WISHES = ("pause", "resume", "cancel")


class TuningJob(Base):
    """A dataset and a base becoming a model called `name`, here or at a server.

    token               known to the server too, so that a job that was made there is found again
    base, parent_id     what the trainer calls the base; the model of the project that it is, where it is one
    base_url, key_name  the server, and the name of its key: never the key
    training_sha256     of the file that was confirmed; nothing else is uploaded
    created_by          who confirmed it
    asked_at            when the server was, or was about to be, asked for the job: it may exist from then on
    remote_status       in the server's own words
    wish                of a person, until whoever carries the job out has met it
    share, doing        from 0 to 1, and what is going on
    cost_estimated, cost    USD; by the plan, and by what the server counted. Empty where the price is unknown
    result              what the server calls the new model
    not_before          nobody needs to look at it earlier: the last attempt met something that takes time to mend
    in_app              the app carries it out, after a restart too
    worker, beat_at     as of a run
    """

    __tablename__ = "tuning_job"
    __table_args__ = (
        one_of("trainer", TRAINERS, "trainer"),
        one_of("status", TUNING_STATUSES, "status"),
        one_of("wish", TUNING_WISHES, "wish"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(String(32), unique=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("dataset.id"), index=True)
    trainer: Mapped[str] = mapped_column(String(8))
    base: Mapped[str]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("model.id"))
    name: Mapped[str]
    base_url: Mapped[str] = mapped_column(default="")
    key_name: Mapped[str] = mapped_column(default="")
    hyperparameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    preflight: Mapped[dict[str, Any]] = mapped_column(default=dict)
    training_sha256: Mapped[str | None] = mapped_column(String(64))
    validation_sha256: Mapped[str | None] = mapped_column(String(64))
    training_file_id: Mapped[str | None]
    validation_file_id: Mapped[str | None]
    remote_id: Mapped[str | None]
    asked_at: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(String(9), default="preparing")
    remote_status: Mapped[str] = mapped_column(default="")
    wish: Mapped[str | None] = mapped_column(String(6))
    share: Mapped[float] = mapped_column(default=0.0)
    doing: Mapped[str] = mapped_column(default="")
    trained_tokens: Mapped[int | None]
    cost_estimated: Mapped[float | None]
    cost: Mapped[float | None]
    result: Mapped[str | None]
    model_id: Mapped[int | None] = mapped_column(ForeignKey("model.id"))
    error: Mapped[str] = mapped_column(default="")
    in_app: Mapped[bool] = mapped_column(default=False)
    not_before: Mapped[datetime | None]
    worker: Mapped[str] = mapped_column(default="")
    beat_at: Mapped[datetime | None]
    created_by: Mapped[int] = mapped_column(ForeignKey("annotator.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    finished_at: Mapped[datetime | None]


class TuningEvent(Base):
    """Something that happened in a training; `remote_id` is the trainer's name for it, so that it is stored once."""

    __tablename__ = "tuning_event"
    __table_args__ = (UniqueConstraint("job_id", "remote_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("tuning_job.id"))
    remote_id: Mapped[str]
    at: Mapped[datetime]
    level: Mapped[str] = mapped_column(String(8))
    message: Mapped[str]
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)


class TuningCheckpoint(Base):
    """A model as it was at a step of its training, which can be asked by `identifier`; `model_id` once registered."""

    __tablename__ = "tuning_checkpoint"
    __table_args__ = (UniqueConstraint("job_id", "identifier"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("tuning_job.id"))
    step: Mapped[int]
    identifier: Mapped[str]
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    model_id: Mapped[int | None] = mapped_column(ForeignKey("model.id"))
    at: Mapped[datetime]
