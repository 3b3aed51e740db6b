"""Trainings, to be shown: how far each is, what the trainer said, its checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, select
from sqlalchemy.orm import aliased

from db.models import Annotator, Model, TuningCheckpoint, TuningEvent, TuningJob
from maploop.errors import NotFoundError
from maploop.predict.runs import is_alive
from maploop.project import ProjectView
from maploop.tune.destination import destination_named

OVER = ("succeeded", "failed", "cancelled")
VALIDATION_LOSSES = ("full_valid_loss", "valid_loss")  # the first is over the whole validation file


@dataclass(frozen=True)
class JobView:
    """A training.

    status          preparing (files and order go out), running, paused, succeeded, failed, cancelled; and `waiting` for
                    the app or `interrupted` when it is done here and nobody is at work on it
    remote_status   in the server's own words
    base, parent    what the trainer calls the base, and the model of the project that it is, where it is one
    name            of the model to be; `model` of the one there is
    share, doing    from 0 to 1, and what is going on
    cost_estimated, cost    USD, None where unknown; the cost is by what the server counted
    at_work         whether a process has it in hand; a server trains on all the same
    """

    id: int
    trainer: Literal["local", "openai"]
    dataset_id: str
    base: str
    parent: str | None
    name: str
    base_url: str
    key_name: str
    hyperparameters: dict[str, Any]
    preflight: dict[str, Any]
    training_file_id: str | None
    validation_file_id: str | None
    remote_id: str | None
    status: str
    remote_status: str
    wish: str | None
    share: float
    doing: str
    trained_tokens: int | None
    cost_estimated: float | None
    cost: float | None
    result: str | None
    model: str | None
    error: str
    in_app: bool
    at_work: bool
    created_by: str
    created_at: datetime
    finished_at: datetime | None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in OVER

    @property
    def destination(self) -> str:
        """Where the data went, for people."""
        return "this machine" if self.trainer == "local" else destination_named(self.base_url)

    @property
    def delete_files(self) -> bool:
        """Whether its files at the server are to be deleted when it ends."""
        return bool(self.preflight.get("delete_files"))

    @property
    def has_files_left(self) -> bool:
        """Whether it has ended and files of it are known to be at the server still."""
        return self.is_over and bool(self.training_file_id or self.validation_file_id)

    @property
    def can_pause(self) -> bool:
        """Whether it makes sense to ask for a pause."""
        return self.trainer == "openai" and self.status == "running"

    @property
    def can_resume(self) -> bool:
        """Whether somebody may go on with it: paused, left by a process, or given up for a reason that is mended."""
        if self.status in ("paused", "waiting", "interrupted"):
            return True
        return self.status == "failed" and self.remote_status != "failed"

    @property
    def can_cancel(self) -> bool:
        """Whether it can still be cancelled."""
        return not self.is_over

    def to_json(self) -> dict[str, Any]:
        """As the CLI prints it."""
        return {
            "job": self.id,
            "trainer": self.trainer,
            "status": self.status,
            "remote_status": self.remote_status,
            "wish": self.wish,
            "share": round(self.share, 4),
            "doing": self.doing,
            "dataset": self.dataset_id,
            "base": self.base,
            "parent": self.parent,
            "name": self.name,
            "destination": self.destination,
            "hyperparameters": self.hyperparameters,
            "remote": {
                "job": self.remote_id,
                "training_file": self.training_file_id,
                "validation_file": self.validation_file_id,
                "model": self.result,
            },
            "delete_files": self.delete_files,
            "trained_tokens": self.trained_tokens,
            "cost_estimated": self.cost_estimated,
            "cost": self.cost,
            "model": self.model,
            "error": self.error,
            "created_by": self.created_by,
            "created_at": self.created_at.isoformat(),
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
        }


@dataclass(frozen=True)
class EventView:
    """Something that happened in a training; `metrics` such as step, train_loss, valid_loss where it tells any."""

    id: int
    at: datetime
    level: str
    message: str
    metrics: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As the CLI prints it."""
        return {"at": self.at.isoformat(), "level": self.level, "message": self.message, "metrics": self.metrics}


@dataclass(frozen=True)
class CheckpointView:
    """A model as it was at a step of its training; `model` is its name in the project once it is registered."""

    id: int
    step: int
    identifier: str
    metrics: dict[str, Any]
    model: str | None
    at: datetime

    def to_json(self) -> dict[str, Any]:
        """As the CLI prints it."""
        return {
            "checkpoint": self.id,
            "step": self.step,
            "identifier": self.identifier,
            "metrics": self.metrics,
            "model": self.model,
        }


def list_jobs(connection: Connection, project: ProjectView) -> list[JobView]:
    """All trainings of a project, newest first."""
    query = _jobs().where(TuningJob.project_id == project.id).order_by(TuningJob.id.desc())
    return [_view(row) for row in connection.execute(query)]


def load_job(connection: Connection, project: ProjectView, job_id: int) -> JobView:
    """One training of a project. Raises NotFoundError."""
    row = connection.execute(_jobs().where(TuningJob.id == job_id, TuningJob.project_id == project.id)).first()
    if row is None:
        msg = f"There is no tuning job {job_id} of {project.name!r}: list them with maploop tuning list."
        raise NotFoundError(msg)
    return _view(row)


def job_events(connection: Connection, job_id: int, *, after: int = 0) -> list[EventView]:
    """What happened in a training, in the order of time; only what was stored after the event of that id."""
    rows = connection.execute(
        select(TuningEvent.id, TuningEvent.at, TuningEvent.level, TuningEvent.message, TuningEvent.metrics)
        .where(TuningEvent.job_id == job_id, TuningEvent.id > after)
        .order_by(TuningEvent.at, TuningEvent.id)
    )
    return [EventView(**row._mapping) for row in rows]


def job_checkpoints(connection: Connection, job_id: int) -> list[CheckpointView]:
    """The checkpoints of a training, by step."""
    rows = connection.execute(
        select(
            TuningCheckpoint.id,
            TuningCheckpoint.step,
            TuningCheckpoint.identifier,
            TuningCheckpoint.metrics,
            Model.name.label("model"),
            TuningCheckpoint.at,
        )
        .outerjoin(Model, Model.id == TuningCheckpoint.model_id)
        .where(TuningCheckpoint.job_id == job_id)
        .order_by(TuningCheckpoint.step, TuningCheckpoint.id)
    )
    return [CheckpointView(**row._mapping) for row in rows]


def best_checkpoint(checkpoints: Sequence[CheckpointView]) -> CheckpointView | None:
    """The one with the lowest validation loss, the later of equals; without a loss for each of them the last."""
    if not checkpoints:
        return None
    for name in VALIDATION_LOSSES:
        if all(isinstance(each.metrics.get(name), int | float) for each in checkpoints):
            return min(checkpoints, key=lambda each: (each.metrics[name], -each.step))
    return max(checkpoints, key=lambda each: each.step)


def _jobs() -> Select[Any]:
    parent, made = aliased(Model), aliased(Model)
    return (
        select(
            TuningJob.__table__,
            parent.name.label("parent"),
            made.name.label("model"),
            Annotator.name.label("person"),
        )
        .join(Annotator, Annotator.id == TuningJob.created_by)
        .outerjoin(parent, parent.id == TuningJob.parent_id)
        .outerjoin(made, made.id == TuningJob.model_id)
    )


def _view(row: Row[Any]) -> JobView:
    values = {name: value for name, value in row._mapping.items() if name in JobView.__dataclass_fields__}
    at_work = is_alive(row.worker, row.beat_at)
    here = row.trainer == "local" or row.status == "preparing"  # a server goes on by itself
    if row.status not in OVER and here and not at_work:
        values["status"] = "waiting" if row.in_app else "interrupted"
    return JobView(**{**values, "created_by": row.person, "at_work": at_work})
