"""What a training leaves behind becomes a model of the project: its best checkpoint, or the one a person chose."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, update

from db.bulk import lock_project
from db.models import Model, TuningCheckpoint, TuningJob
from maploop.errors import ConflictError, InputError, NotFoundError
from maploop.predict.models import ModelView, add_model, check_model_name, list_models
from maploop.project import ProjectView
from maploop.tune.jobs import CheckpointView, JobView, best_checkpoint, job_checkpoints, load_job
from maploop.tune.naming import numbered


def register_checkpoint(
    connection: Connection, project: ProjectView, job_id: int, checkpoint_id: int, *, name: str | None = None
) -> ModelView:
    """Make a checkpoint of a training a model of the project; one that is registered comes back as it is.

    Needs a write transaction. Raises NotFoundError, InputError, ConflictError when another model has the name.
    """
    lock_project(connection, project.id)
    job = load_job(connection, project, job_id)
    found = next((each for each in job_checkpoints(connection, job_id) if each.id == checkpoint_id), None)
    if found is None:
        msg = f"Tuning job {job_id} has no checkpoint {checkpoint_id}: maploop tuning show lists them."
        raise NotFoundError(msg)
    if found.model is not None:
        return _model_called(connection, project, found.model)
    if name is not None and check_model_name(name) in _taken(connection, project):
        msg = f"There is a model {name!r} in {project.name!r} already: choose another name."
        raise ConflictError(msg)
    chosen = name if name is not None else numbered(f"{job.name}-step-{found.step}", _taken(connection, project))
    return _add(connection, project, job, chosen, found.identifier, found)


def register_best(
    connection: Connection, project: ProjectView, job_id: int, result: str | None, figures: Mapping[str, Any]
) -> ModelView:
    """Make the best checkpoint of a training that is done the job's model; `result` is what the server calls the last.

    Raises InputError when the server names no model at all.
    """
    lock_project(connection, project.id)
    job = load_job(connection, project, job_id)
    checkpoints = job_checkpoints(connection, job_id)
    best = best_checkpoint(checkpoints)
    last = max((each.step for each in checkpoints), default=0)
    identifier = result
    if best is not None and (identifier is None or best.step < last):
        identifier = best.identifier
    if not identifier:
        msg = f"{job.destination} says that the training is done, and names no model: look there for it."
        raise InputError(msg)
    model = _add(connection, project, job, numbered(job.name, _taken(connection, project)), identifier, best, figures)
    connection.execute(update(TuningJob).where(TuningJob.id == job_id).values(model_id=model.id))
    return model


def _add(
    connection: Connection,
    project: ProjectView,
    job: JobView,
    name: str,
    identifier: str,
    checkpoint: CheckpointView | None,
    figures: Mapping[str, Any] | None = None,
) -> ModelView:
    training = {
        "job": job.id,
        "base": job.base,
        "trained_tokens": job.trained_tokens,
        "cost": job.cost,
        **(figures or {}),
        **({"step": checkpoint.step, "metrics": checkpoint.metrics} if checkpoint else {}),
    }
    parent_id = connection.execute(select(TuningJob.parent_id).where(TuningJob.id == job.id)).scalar_one()
    model = add_model(
        connection,
        project,
        name,
        "chat",
        identifier=identifier,
        parameters={**job.preflight.get("parameters", {}), "training": training},
        parent_id=parent_id,
        dataset_id=job.dataset_id,
    )
    if checkpoint is not None:
        connection.execute(
            update(TuningCheckpoint).where(TuningCheckpoint.id == checkpoint.id).values(model_id=model.id)
        )
    return model


def _model_called(connection: Connection, project: ProjectView, name: str) -> ModelView:
    return next(each for each in list_models(connection, project) if each.name == name)


def _taken(connection: Connection, project: ProjectView) -> set[str]:
    return set(connection.execute(select(Model.name).where(Model.project_id == project.id)).scalars())
